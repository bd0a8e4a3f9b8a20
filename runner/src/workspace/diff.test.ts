import {
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { GIT_PATH, GitRepository } from "../testing/git-repository.ts"
import { diffAgainstBase } from "./diff.ts"

let home: string
let checkout: GitRepository

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "diff-"))
  checkout = new GitRepository(join(home, "checkout"))
})

afterEach(() => rm(home, { recursive: true, force: true }))

function diff(baseCommit: string, path = process.env.PATH) {
  const environment = { PATH: path, HOME: home }
  return diffAgainstBase({ directory: checkout.directory, baseCommit, environment })
}

const EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

describe("what counts as changed", () => {
  test("is committed, staged, edited and untracked work alike, ignored files not", async () => {
    checkout.write("committed", "a\n")
    checkout.write("staged", "a\n")
    checkout.write("edited", "a\n")
    checkout.write("same", "a\n")
    checkout.write(".gitignore", "ignored\n")
    const base = checkout.commit()
    checkout.write("committed", "b\n")
    checkout.commit()
    checkout.write("staged", "b\n")
    checkout.git("add", "staged")
    checkout.write("edited", "b\n")
    checkout.write("new", "b\n")
    checkout.write("ignored", "b\n")

    const { files, ...rest } = await diff(base)

    expect(rest).toEqual({ base, truncated: false })
    expect(files.map(({ path, status }) => [path, status])).toEqual([
      ["committed", "modified"],
      ["edited", "modified"],
      ["new", "added"],
      ["staged", "modified"],
    ])
  })

  test("is nothing when a change was taken back", async () => {
    checkout.write("a", "a\n")
    const base = checkout.commit()
    checkout.write("a", "b\n")
    checkout.write("a", "a\n")

    expect(await diff(base)).toEqual({ base, files: [], truncated: false })
  })

  test("is a rename with its old name, a removal, and a patch that can be read", async () => {
    checkout.write("old", "one\ntwo\nthree\n")
    checkout.write("gone", "x\n")
    const base = checkout.commit()
    renameSync(join(checkout.directory, "old"), join(checkout.directory, "new"))
    rmSync(join(checkout.directory, "gone"))

    const { files } = await diff(base)

    expect(files).toEqual([
      expect.objectContaining({ path: "gone", status: "deleted", additions: 0, deletions: 1 }),
      expect.objectContaining({ path: "new", oldPath: "old", status: "renamed", additions: 0 }),
    ])
    expect(files[0]?.patch).toContain("@@ -1 +0,0 @@\n-x\n")
    expect(files[1]?.patch).toContain("rename from old\nrename to new\n")
  })

  test("is everything in a repository without a commit", async () => {
    checkout.write("first", "a\n")

    const { files } = await diff(EMPTY_TREE)

    expect(files).toEqual([expect.objectContaining({ path: "first", status: "added" })])
  })

  test("is the conflicted text while a merge is unfinished", async () => {
    checkout.write("a", "base\n")
    const base = checkout.commit()
    checkout.git("checkout", "-q", "-b", "other")
    checkout.write("a", "theirs\n")
    checkout.commit()
    checkout.git("checkout", "-q", "main")
    checkout.write("a", "ours\n")
    checkout.commit()
    expect(() => checkout.git("merge", "other")).toThrow()

    const { files } = await diff(base)

    expect(files).toEqual([expect.objectContaining({ path: "a", status: "modified" })])
    expect(files[0]?.patch).toContain("+<<<<<<< HEAD")
  })
})

describe("odd files", () => {
  const names = [
    "sp ace",
    "'single' \"double\"",
    "新しい",
    "שלום",
    "tab\there",
    "new\nline",
    "-dash",
    "*.glob",
    ":(top)x",
    "back\\slash",
    "💥",
  ]

  test("with odd names keep their names", async () => {
    const base = checkout.commit()
    for (const name of names) checkout.write(name, "x\n")

    const { files } = await diff(base)

    expect(new Set(files.map(({ path }) => path))).toEqual(new Set(names))
    expect(files.every(({ patch }) => patch.endsWith("@@ -0,0 +1 @@\n+x\n"))).toBe(true)
  })

  test("with a name that is not UTF-8 are part of it, in a conflict too", async () => {
    const named = (text: string) => Buffer.from(join(checkout.directory, text), "latin1")
    writeFileSync(named("mer\xe9"), "base\n")
    const base = checkout.commit()
    checkout.git("checkout", "-q", "-b", "other")
    writeFileSync(named("mer\xe9"), "theirs\n")
    checkout.commit()
    checkout.git("checkout", "-q", "main")
    writeFileSync(named("mer\xe9"), "ours\n")
    checkout.commit()
    expect(() => checkout.git("merge", "other")).toThrow()
    writeFileSync(named("caf\xe9"), "x\n")
    checkout.write("plain", "x\n")

    const { files } = await diff(base)

    expect(files.map(({ path, status }) => [path, status])).toEqual([
      ["caf\ufffd", "added"],
      ["mer\ufffd", "modified"],
      ["plain", "added"],
    ])
  })

  test("that go away while they are compared do no harm", async () => {
    const base = checkout.commit()
    checkout.write("passing", "x\n")
    checkout.write("staying", "x\n")
    const removing = `git "$@"; code=$?; case "$*" in *--others*) rm -f passing;; esac; exit $code`
    const bin = join(home, "bin")
    mkdirSync(bin)
    const script = `#!/bin/sh\nPATH=${GIT_PATH}\n${removing}\n`
    writeFileSync(join(bin, "git"), script, { mode: 0o755 })

    const { files } = await diff(base, `${bin}:${GIT_PATH}`)

    expect(files.map(({ path }) => path)).toEqual(["staying"])
  })

  test("that are binary are flagged and bring no patch", async () => {
    const base = checkout.commit()
    checkout.write("image", new Uint8Array([0, 1, 2, 0]))

    expect((await diff(base)).files).toEqual([
      { path: "image", status: "added", additions: 0, deletions: 0, binary: true, patch: "" },
    ])
  })

  test("keep CRLF line ends", async () => {
    checkout.write("dos", "one\r\ntwo\r\n")
    const base = checkout.commit()
    checkout.write("dos", "one\r\n2\r\n")

    expect((await diff(base)).files[0]?.patch).toContain(" one\r\n-two\r\n+2\r\n")
  })

  test("show a new mode, and a file that became a link", async () => {
    checkout.write("script", "x\n")
    checkout.write("file", "x\n")
    checkout.write("last", "x\n")
    const base = checkout.commit()
    chmodSync(join(checkout.directory, "script"), 0o755)
    rmSync(join(checkout.directory, "file"))
    symlinkSync("script", join(checkout.directory, "file"))
    checkout.write("last", "y\n")

    const { files } = await diff(base)

    expect(files.map(({ path, status }) => [path, status])).toEqual([
      ["file", "modified"],
      ["last", "modified"],
      ["script", "modified"],
    ])
    expect(files[0]?.patch).toContain("deleted file mode 100644")
    expect(files[0]?.patch).toContain("new file mode 120000")
    expect(files[1]?.patch).toContain("+y\n")
    expect(files[2]?.patch).toContain("new mode 100755")
  })

  test("that are repositories themselves are shown as a commit, or left out before their first", async () => {
    const base = checkout.commit()
    new GitRepository(join(checkout.directory, "unborn"))
    const inner = new GitRepository(join(checkout.directory, "inner"))
    inner.write("a", "x\n")
    const commit = inner.commit()
    checkout.write("plain", "x\n")

    const { files } = await diff(base)

    expect(files.map(({ path }) => path)).toEqual(["inner", "plain"])
    expect(files[0]?.patch).toContain(`+Subproject commit ${commit}`)
  })

  test("whose content looks like a patch do not confuse the rest", async () => {
    const base = checkout.commit()
    checkout.write("a", "diff --git a/x b/x\n@@ -1 +1 @@\n")
    checkout.write("b", "b\n")

    const { files } = await diff(base)

    expect(files.map(({ path }) => path)).toEqual(["a", "b"])
    expect(files[1]?.patch).toMatch(/^diff --git a\/b b\/b\n[\s\S]*\+b\n$/)
  })
})

describe("the checkout", () => {
  test("keeps its index and gets no new objects", async () => {
    checkout.write("a", "a\n")
    const base = checkout.commit()
    checkout.write("a", "b\n")
    checkout.write("new", "b\n")
    const before = [
      await readFile(join(checkout.directory, ".git/index")),
      checkout.git("count-objects", "-v"),
    ]

    await diff(base)

    expect([
      await readFile(join(checkout.directory, ".git/index")),
      checkout.git("count-objects", "-v"),
    ]).toEqual(before)
  })

  test("may have settings that change git's output", async () => {
    checkout.write("a", "a\n")
    const base = checkout.commit()
    checkout.write("a", "b\n")
    for (const [key, value] of Object.entries({
      "diff.noprefix": "true",
      "diff.external": "false",
      "color.ui": "always",
      "diff.orderFile": "missing",
    })) {
      checkout.git("config", key, value)
    }

    expect((await diff(base)).files[0]?.patch).toMatch(/^diff --git a\/a b\/a\n/)
  })

  test.each([".git", ".git/HEAD"])(
    "that lost its %s is a failure that says so, also inside another repository",
    async (lost) => {
      const base = checkout.commit()
      cpSync(join(checkout.directory, ".git"), join(home, ".git"), { recursive: true })
      rmSync(join(checkout.directory, lost), { recursive: true })

      await expect(diff(base)).rejects.toMatchObject({
        reason: "repository-gone",
        message: expect.stringMatching(/ is no Git repository any more.* Ask the agent .*\.$/),
      })
    },
  )

  test("that is gone as a whole is a failure that says so, and not where it was", async () => {
    const base = checkout.commit()
    rmSync(checkout.directory, { recursive: true })

    await expect(diff(base)).rejects.toMatchObject({ reason: "workspace-gone" })
    await expect(diff(base)).rejects.not.toThrow(home)
  })

  test("that lost its base is a failure with git's own words and a next step", async () => {
    checkout.commit()

    await expect(diff("c0ffee".padEnd(40, "0"))).rejects.toMatchObject({
      reason: "diff-failed",
      message: expect.stringMatching(/Git said: fatal: bad object .* start a new session\.$/),
    })
  })
})

describe("size", () => {
  test("a patch beyond 256 KB is left out, the others stay", async () => {
    const base = checkout.commit()
    checkout.write("large", "0123456789\n".repeat(30_000))
    checkout.write("small", "x\n")

    const { files, truncated } = await diff(base)

    expect(truncated).toBe(true)
    expect(files[0]).toMatchObject({ path: "large", additions: 30_000, binary: false, patch: "" })
    expect(files[1]?.patch).toContain("+x\n")
  })

  test("the whole fits one message, with every file named", async () => {
    const base = checkout.commit()
    for (let n = 0; n < 40; n++) checkout.write(`f${n}`, "0123456789\n".repeat(10_000))

    const result = await diff(base)

    expect(JSON.stringify(result).length).toBeLessThan(900 * 1024)
    expect(result).toMatchObject({ truncated: true })
    expect(result.files).toHaveLength(40)
    expect(result.files.filter(({ patch }) => patch !== "").length).toBeGreaterThan(3)
  })
})

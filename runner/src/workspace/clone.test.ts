import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdir, readFile, readlink, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Cloning } from "../testing/cloning.ts"
import { GitRepository } from "../testing/git-repository.ts"
import type { CloneOptions } from "./clone.ts"
import { cloneFailure, withoutPassword } from "./clone-failure.ts"
import { cloneProgress } from "./clone-progress.ts"

let cloning: Cloning
let home: string
let origin: GitRepository

beforeEach(async () => {
  cloning = await Cloning.make()
  home = cloning.home
  origin = cloning.origin
})

afterEach(() => cloning.remove())

const directory = () => cloning.directory
const prepare = (overrides?: Partial<CloneOptions>) => cloning.prepare(overrides)

/** An HTTP server that answers every request with one status. */
async function answering(status: number) {
  const server = createServer((_request, response) => {
    response.writeHead(status, { "www-authenticate": 'Basic realm="git"' }).end()
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return { url: `http://127.0.0.1:${address.port}/a/b.git`, close: () => server.close() }
}

describe("a checkout", () => {
  test("starts on a branch of its own, at the default branch's commit", async () => {
    origin.write("a", "a\n")
    const commit = origin.commit()

    const checkout = await prepare()

    expect(checkout).toEqual({
      directory: directory(),
      baseCommit: commit,
      branch: "main",
      workingBranch: "agent-ops/abcdefgh",
    })
    expect(await readFile(join(directory(), "a"), "utf8")).toBe("a\n")
  })

  test("has the whole history", async () => {
    for (const message of ["1", "2", "3"]) origin.commit(message)

    await prepare()

    const log = await readFile(join(directory(), ".git/logs/HEAD"), "utf8")
    expect(log).not.toBe("")
    expect(existsSync(join(directory(), ".git/shallow"))).toBe(false)
  })

  test("keeps links, odd names and LFS pointers as they are, and leaves submodules alone", async () => {
    const library = new GitRepository(join(home, "library"))
    library.commit()
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    origin.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    origin.write("large.bin", pointer)
    origin.write('新 "q"\n', "x")
    origin.git("config", "core.symlinks", "true")
    origin.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", library.url, "lib")
    await symlink("/etc/passwd", join(origin.directory, "link"))
    origin.commit()
    await writeFile(
      join(home, ".gitconfig"),
      '[filter "lfs"]\n\tsmudge = git-lfs smudge -- %f\n\trequired = true\n',
    )

    await prepare()

    expect(await readFile(join(directory(), "large.bin"), "utf8")).toBe(pointer)
    expect(await readFile(join(directory(), '新 "q"\n'), "utf8")).toBe("x")
    expect(await readlink(join(directory(), "link"))).toBe("/etc/passwd")
    expect(existsSync(join(directory(), "lib/.git"))).toBe(false)
  })

  test("can be committed to, also where nobody has set an author", async () => {
    origin.commit()
    await prepare()

    expect(await readFile(join(home, ".gitconfig"), "utf8")).toContain("Agent Ops")
  })
})

describe("a workspace that is there already", () => {
  test("is taken up with all the work in it and its own base", async () => {
    origin.write("a", "a\n")
    const base = origin.commit()
    await prepare()
    const work = join(directory(), "work")
    await writeFile(work, "unsaved")
    origin.commit("later")

    expect(await prepare()).toMatchObject({ baseCommit: base, branch: "main" })
    expect(await readFile(work, "utf8")).toBe("unsaved")
  })

  test("is cloned afresh when its clone was interrupted", async () => {
    const base = origin.commit()
    await mkdir(join(directory(), ".git"), { recursive: true })
    await writeFile(join(directory(), ".git/HEAD"), "ref: ")
    await writeFile(join(home, "state/clone-under-way"), "")

    expect(await prepare()).toMatchObject({ baseCommit: base })
    expect(existsSync(join(home, "state/clone-under-way"))).toBe(false)
  })

  test("with files that are no checkout is left alone", async () => {
    await mkdir(directory())
    await writeFile(join(directory(), "precious"), "x")

    await expect(prepare()).rejects.toMatchObject({ reason: "workspace-not-empty" })
    expect(await readFile(join(directory(), "precious"), "utf8")).toBe("x")
  })
})

describe("a clone that fails says why", () => {
  test("no repository there", async () => {
    await expect(prepare({ repoUrl: `${origin.url}-missing` })).rejects.toMatchObject({
      reason: "repository-not-found",
      message: expect.stringContaining("Check the address"),
    })
  })

  test("no such branch", async () => {
    origin.commit()

    await expect(prepare({ branch: "nope" })).rejects.toMatchObject({
      reason: "branch-not-found",
      message: expect.stringContaining("“nope”"),
    })
  })

  test.each([
    [404, "repository-not-found"],
    [401, "repository-private"],
    [403, "repository-private"],
    [503, "repository-unreachable"],
  ])("the host answers %i", async (status, reason) => {
    const server = await answering(status)

    await expect(prepare({ repoUrl: server.url })).rejects.toMatchObject({ reason })
    server.close()
  })

  test("the host does not answer", async () => {
    await expect(prepare({ repoUrl: "http://127.0.0.1:1/a.git" })).rejects.toMatchObject({
      reason: "repository-unreachable",
    })
  })

  test("a web page is there", () => {
    const stderr = "fatal: https://x/y/info/refs not valid: is this a git repository?"
    const { reason } = cloneFailure(stderr, { repoUrl: "https://x/y", branch: null })
    expect(reason).toBe("repository-not-found")
  })

  test("the disk is full", () => {
    const stderr = "fatal: write error: No space left on device\nfatal: index-pack failed"

    expect(cloneFailure(stderr, { repoUrl: "https://x/y", branch: null }).reason).toBe("disk-full")
  })

  test.each([
    "ssh://host/x",
    "git@host:x",
    "ext::sh -c id",
    "--upload-pack=id",
    "/etc",
    "file://host/x",
    "",
  ])("%j is not an address for sandboxes", async (repoUrl) => {
    await expect(prepare({ repoUrl })).rejects.toMatchObject({ reason: "repository-not-supported" })
  })

  test("a branch name is never an option", async () => {
    origin.commit()

    await expect(prepare({ branch: "--upload-pack=touch /tmp/x" })).rejects.toMatchObject({
      reason: "branch-not-found",
    })
  })

  test("without showing a password from the address", () => {
    expect(withoutPassword("https://me:secret@host/x")).toBe("https://host/x")
    const failed = cloneFailure("fatal: odd", { repoUrl: "https://me:secret@host/x", branch: null })
    expect(failed.message).not.toContain("secret")
  })

  test("and an abort ends git at once", async () => {
    const server = createServer(() => undefined)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    const port = address !== null && typeof address === "object" ? address.port : 0
    const abort = new AbortController()
    server.once("request", () => abort.abort(new Error("too slow")))

    await expect(
      prepare({ repoUrl: `http://127.0.0.1:${port}/x.git`, signal: abort.signal }),
    ).rejects.toThrow("too slow")
    server.close()
    server.closeAllConnections()
  })
})

test("progress is passed on once a second, the newest line", () => {
  const report = vi.fn<(detail: string) => void>()
  let now = 0
  const progress = cloneProgress(report, () => now)

  progress("Cloning into '.'...\nremote: Counting objects:   1% (1/100)\rremote: Counting ob")
  progress("jects:  50% (50/100)\r")
  now = 1_500
  progress(
    "Receiving objects:  12% (12/100), 1.00 MiB | 2.00 MiB/s\rReceiving objects:  13% (13/100)\r",
  )

  expect(report.mock.calls).toEqual([["Counting objects 1 %"], ["Receiving objects 13 %"]])
})

import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { readWorkspaceFile } from "./file.ts"

let home: string
let workspace: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "file-"))
  workspace = join(home, "workspace")
  await mkdir(join(workspace, ".git"), { recursive: true })
})

afterEach(() => rm(home, { recursive: true, force: true }))

describe("a file of the workspace", () => {
  test("comes with its text and size", async () => {
    await mkdir(join(workspace, "src"))
    await writeFile(join(workspace, "src/新 a.ts"), "let ä\r\n")

    expect(await readWorkspaceFile(workspace, "src/新 a.ts")).toEqual({
      path: "src/新 a.ts",
      bytes: 8,
      binary: false,
      truncated: false,
      text: "let ä\r\n",
    })
  })

  test("may be a link that stays inside", async () => {
    await writeFile(join(workspace, "a"), "x")
    await symlink("a", join(workspace, "b"))

    expect(await readWorkspaceFile(workspace, "b")).toMatchObject({ text: "x" })
  })

  test("that is binary is flagged", async () => {
    await writeFile(join(workspace, "a"), new Uint8Array([1, 0, 2]))

    expect(await readWorkspaceFile(workspace, "a")).toMatchObject({
      binary: true,
      text: "",
      bytes: 3,
    })
  })

  test("that is large is cut between characters, and fits a message", async () => {
    await writeFile(join(workspace, "a"), `x${"é".repeat(2_000_000)}`)
    await writeFile(join(workspace, "b"), "\u0001".repeat(900_000))

    const [a, b] = [
      await readWorkspaceFile(workspace, "a"),
      await readWorkspaceFile(workspace, "b"),
    ]

    expect(a).toMatchObject({ truncated: true, bytes: 4_000_001 })
    expect(a.text).toMatch(/^xé+$/)
    expect(b).toMatchObject({ truncated: true })
    for (const content of [a, b]) expect(JSON.stringify(content).length).toBeLessThan(1024 * 1024)
  })
})

describe("refused is", () => {
  test.each([
    "../secret",
    "/etc/passwd",
    "a/../../secret",
    "out",
    "folder-out/secret",
    ".git/config",
    "..",
    "nope",
    "x\u0000y",
  ])("%j", async (path) => {
    await writeFile(join(home, "secret"), "s")
    await writeFile(join(workspace, ".git/config"), "s")
    await symlink(join(home, "secret"), join(workspace, "out"))
    await symlink(home, join(workspace, "folder-out"))

    await expect(readWorkspaceFile(workspace, path)).rejects.toMatchObject({
      reason: "file-not-found",
    })
  })

  test("a folder, a socket, and a pipe without waiting for it", async () => {
    execFileSync("mkfifo", [join(workspace, "pipe")])
    const server = createServer().listen(join(workspace, "socket"))
    await once(server, "listening")

    for (const path of [".", "pipe", "socket"]) {
      const refused = readWorkspaceFile(workspace, path)
      await expect(refused).rejects.toMatchObject({ reason: "not-a-file" })
      await expect(refused).rejects.not.toThrow(home)
    }
    server.close()
  })

  test.each(["a folder that is gone", "a folder that became a file"])(
    "everything when the workspace is %s, without telling where it was",
    async (what) => {
      await rm(workspace, { recursive: true })
      if (what.endsWith("file")) await writeFile(workspace, "x")

      const refused = readWorkspaceFile(workspace, "README.md")

      await expect(refused).rejects.toMatchObject({
        reason: "workspace-gone",
        message: expect.stringMatching(/ is gone from the sandbox\. Ask the agent .*\.$/),
      })
      await expect(refused).rejects.not.toThrow(home)
    },
  )
})

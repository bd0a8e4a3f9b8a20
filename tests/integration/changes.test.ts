import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted } from "./session-driver.ts"

let root: string
let stack: FaultStack

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "changes-"))
  const repository = new GitRepository(join(root, "plain"))
  repository.write("README.md", "# Plain\n")
  repository.commit()
  stack = await FaultStack.start()
}, 300_000)

afterAll(async () => {
  await stack?.stop()
  if (root) rmSync(root, { recursive: true, force: true })
})

async function newSession(command: string): Promise<SessionDriver> {
  const repoUrl = pathToFileURL(join(root, "plain")).href
  const prompt = scripted(bash(command), { say: "Done." })
  const session = await SessionDriver.create(stack, { repoUrl, prompt })
  const first = await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
  expect(first).toMatchObject({ state: "succeeded" })
  return session
}

const pathsOf = ({ files }: { files: { path: string }[] }) => files.map(({ path }) => path)

test("changes that the agent took back are not shown once its sandbox is gone", async () => {
  const session = await newSession("echo x > new.txt")
  expect(pathsOf(await session.diff())).toEqual(["new.txt"])
  const undone = await session.plays(scripted(bash("rm new.txt"), { say: "Undone." }))
  const idle = await session.plays(scripted({ say: "Nothing to do." }))
  expect([undone, idle]).toMatchObject([{ state: "succeeded" }, { state: "succeeded" }])
  await session.terminate()

  expect(pathsOf(await session.diff())).toEqual([])
  const changes = (await session.entries()).filter(({ kind }) => kind === "changes")
  expect(changes).toMatchObject([
    { turnId: await session.firstPromptId(), files: [{ path: "new.txt" }] },
    { turnId: undone.id, files: [] },
  ])
})

test("a sandbox that cannot read its workspace says why, and no older changes stand in", async () => {
  const session = await newSession("echo x > new.txt && mkfifo pipe")
  const workspace = join(session.directory, "workspace")
  const listen = "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
  execFileSync("python3", ["-c", listen], { cwd: workspace })
  const { changes } = stack.api
  const file = (path: string) => changes.file.query({ sessionId: session.id, path })
  const refuses = async (asked: Promise<unknown>, reason: string) => {
    const data = { code: "PRECONDITION_FAILED", reason }
    await expect(asked).rejects.toMatchObject({ data, message: expect.stringMatching(/\. .*\.$/) })
    await expect(asked).rejects.not.toThrow(session.directory)
  }

  await refuses(file("pipe"), "not-a-file")
  await refuses(file("socket"), "not-a-file")
  expect(await file("new.txt")).toMatchObject({ text: "x\n" })

  rmSync(join(workspace, ".git"), { recursive: true })
  await refuses(session.diff(), "repository-gone")
  await refuses(changes.summary.query({ sessionId: session.id }), "repository-gone")
  expect(await file("README.md")).toMatchObject({ text: "# Plain\n" })

  rmSync(workspace, { recursive: true })
  await refuses(session.diff(), "workspace-gone")
  await refuses(file("README.md"), "workspace-gone")

  await session.terminate()
  expect(pathsOf(await session.diff())).toEqual(["new.txt"])
})

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { until } from "../faults/until.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted } from "./session-driver.ts"

let root: string
let stack: FaultStack

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "platform-stopped-"))
  const repository = new GitRepository(join(root, "plain"))
  repository.write("README.md", "# Plain\n")
  repository.commit()
  stack = await FaultStack.start()
}, 300_000)

afterAll(async () => {
  await stack?.stop()
  if (root) rmSync(root, { recursive: true, force: true })
})

async function newSession(): Promise<SessionDriver> {
  const repoUrl = pathToFileURL(join(root, "plain")).href
  const session = await SessionDriver.create(stack, { repoUrl })
  await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
  return session
}

const STOPPED = "The platform was stopped, and the sandbox with it."

test("after an orderly stop no session has lost anything: each says what happened, and goes on", async () => {
  const [idle, busy] = [await newSession(), await newSession()]
  const cut = await busy.send(scripted(bash("echo begun > begun.txt; sleep 600")))
  await until("the command to run", BOOT_WITHIN_MS, async () =>
    (await busy.entries()).some((entry) => entry.kind === "tool" && entry.state === "running"),
  )

  await stack.end()
  expect(stack.processes().map(({ command }) => command)).toEqual([])
  await stack.restart()

  const error = {
    reason: "platform-stopped",
    message: `${STOPPED} What came is kept, retry or go on.`,
  }
  expect(await busy.ended(cut)).toMatchObject({ state: "interrupted", error })
  for (const session of [idle, busy]) {
    const { statusReason } = await session.has("sleeping")
    expect(statusReason).toBe(`${STOPPED} The next prompt wakes the session.`)
  }
  expect(await busy.entries()).toContainEqual(
    expect.objectContaining({ kind: "error", turnId: cut, ...error }),
  )

  const prompt = scripted({ say: "Here again." })
  for (const session of [idle, busy]) {
    expect(await session.plays(prompt, {}, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
    expect(JSON.stringify(await session.entries())).not.toContain("unexpectedly")
  }
  expect((await busy.diff()).files).toMatchObject([{ path: "begun.txt" }])
})

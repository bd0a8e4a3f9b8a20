import { execFileSync } from "node:child_process"
import { renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { makeRepository } from "../../dev/demo/repository.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import { BOOT_WITHIN_MS, FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { assertInvariants } from "./invariants.ts"
import { until } from "./until.ts"

const DEADLINE_SECONDS = { clone: 4, ready: 40 }
const MARGIN_MS = 15_000

let stack: FaultStack

beforeAll(async () => {
  stack = await FaultStack.start({
    env: {
      SANDBOX_CLONE_DEADLINE_SECONDS: String(DEADLINE_SECONDS.clone),
      SANDBOX_READY_DEADLINE_SECONDS: String(DEADLINE_SECONDS.ready),
    },
  })
})

afterAll(() => stack?.stop())

/** Waits until the session has failed with its sandbox gone, its prompt kept. Returns the reason. */
async function failed(session: FaultSession, withinMs: number): Promise<string | undefined> {
  await until("the session to fail", withinMs, async () => {
    const { status } = await stack.api.session.get.query({ sessionId: session.id })
    return status === "failed"
  })
  await until("the machine to be gone", MARGIN_MS, async () => {
    const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
    return sandbox?.state === "stopped" && session.processes().length === 0
  })
  expect(await session.prompts()).toMatchObject([{ state: "queued", attempt: 0 }])
  const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
  return sandbox?.error?.reason
}

async function worksAfterWake(session: FaultSession): Promise<void> {
  await stack.api.session.wake.mutate({ sessionId: session.id })
  await session.watch(1)
  expect(await session.hasEnded(await session.firstPrompt(), BOOT_WITHIN_MS)).toBe("succeeded")
  await assertInvariants(session)
  session.close()
  await stack.api.session.terminate.mutate({ sessionId: session.id })
}

test("[F10] a repository that never answers fails the session with the phase's reason; waking it works", async () => {
  const directory = join(stack.home, "silent-repository")
  const repoUrl = await makeRepository(directory)
  const head = join(directory, ".git/HEAD")
  renameSync(head, `${head}.kept`)
  // Whoever reads a pipe that nobody writes waits for ever.
  execFileSync("mkfifo", [head])
  const session = await FaultSession.create(stack, [], repoUrl)
  expect(await failed(session, DEADLINE_SECONDS.clone * 1_000 + MARGIN_MS)).toMatch(/clone/)
  rmSync(head)
  renameSync(`${head}.kept`, head)
  await worksAfterWake(session)
})

test("[F10] a sandbox that freezes while it starts is given up at the deadline; waking it works", async () => {
  const session = await FaultSession.create(stack)
  for (const pid of await until("the machine", MARGIN_MS, () => bootingPids(session))) {
    signal(pid, "SIGSTOP")
  }
  const reason = await failed(session, DEADLINE_SECONDS.ready * 1_000 + MARGIN_MS)
  expect(reason).toBe("sandbox-not-ready")
  await worksAfterWake(session)
})

test("[F10] a sandbox that dies while it starts is replaced by itself, once", async () => {
  const session = await FaultSession.create(stack)
  await session.watch(1)
  for (const pid of await until("the machine", MARGIN_MS, () => bootingPids(session))) {
    session.kill(pid)
  }
  expect(await session.hasEnded(await session.firstPrompt(), BOOT_WITHIN_MS)).toBe("succeeded")
  const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
  expect(sandbox).toMatchObject({ generation: 2, state: "ready" })
  await assertInvariants(session)
  session.close()
})

/** Supervisor and runner of a sandbox that has not begun to work, null until both run. */
function bootingPids(session: FaultSession): number[] | null {
  const found = session.processes().filter(({ command }) => /runner\.js( run)?$/.test(command))
  return found.length === 2 ? found.map(({ pid }) => pid) : null
}

import { afterAll, beforeAll, expect, test } from "vitest"
import { BOOT_WITHIN_MS, FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { command, reads, streaming } from "./script.ts"
import { instant, seeds } from "./seeds.ts"
import { until } from "./until.ts"

const WORK = [streaming(800), reads(20), command(1), streaming(800)]
const WORK_MS = 4_000
const BOOT_MS = 12_000
const AGAIN_WITHIN_MS = 90_000

let stack: FaultStack
let session: FaultSession

beforeAll(async () => {
  stack = await FaultStack.start()
  session = await FaultSession.ready(stack)
})

afterAll(async () => {
  session?.close()
  await stack?.stop()
})

const restartMs: number[] = []

async function killAllAndRestart({ sparesSandboxes }: { sparesSandboxes: boolean }) {
  await stack.killEverything({ sparesSandboxes })
  if (!sparesSandboxes) for (const viewer of session.viewers) viewer.expectLostDeltas()
  const startedAt = performance.now()
  await stack.restart()
  restartMs.push(performance.now() - startedAt)
}

test.for(seeds)(
  "[F15] everything killed amid a turn, every second time but the sandboxes, starts again: nothing is lost or repeated, the session goes on (seed %i)",
  async (seed) => {
    const running = await session.send(WORK)
    const queued = await session.send([streaming(200)])
    await session.viewer.until("the turn to begin", AGAIN_WITHIN_MS, (log) => {
      return session.stateIn(log, running) === "running"
    })
    await instant(seed, WORK_MS)
    const sparesSandboxes = seed % 2 === 0
    await killAllAndRestart({ sparesSandboxes })

    const state = await session.hasEnded(running, AGAIN_WITHIN_MS)
    // A sandbox that lives on carries its turn to the end.
    expect(sparesSandboxes ? ["succeeded"] : ["succeeded", "interrupted"]).toContain(state)
    expect(await session.hasEnded(queued, AGAIN_WITHIN_MS)).toBe("succeeded")
    const next = await session.send([streaming(100)])
    expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
    await assertInvariants(session)
  },
)

test.for(seeds.filter((seed) => seed % 5 === 0))(
  "[F15] everything killed while a session boots: it boots after the restart (seed %i)",
  async (seed) => {
    const booting = await FaultSession.create(stack, [streaming(200)])
    await booting.watch(1)
    const promptId = await booting.firstPrompt()
    await instant(seed, BOOT_MS)
    await killAllAndRestart({ sparesSandboxes: seed % 2 === 0 })
    expect(["succeeded", "interrupted"]).toContain(
      await booting.hasEnded(promptId, BOOT_WITHIN_MS + AGAIN_WITHIN_MS),
    )
    await assertInvariants(booting)
    booting.close()
    await stack.api.session.terminate.mutate({ sessionId: booting.id })
    await until("its machine to be gone", AGAIN_WITHIN_MS, () => booting.processes().length === 0)
  },
)

afterAll(() => tell("F15 the whole stack is ready again", restartMs))

import { afterAll, expect, test } from "vitest"
import { FaultSession } from "./fault-session.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { command, reads, streaming } from "./script.ts"
import { groups, instant } from "./seeds.ts"
import { AT_ONCE } from "./session-pool.ts"
import { stackWithPool } from "./shared-stack.ts"

const WORK = [streaming(800), reads(20), command(1), streaming(800)]
const WORK_MS = 4_000
const BOOT_MS = 10_000
const AGAIN_WITHIN_MS = 180_000

const shared = stackWithPool()
const { sessions } = shared

const restartMs: number[] = []

/** A sandbox that lives on carries its turn to the end. */
const cases = groups(AT_ONCE).flatMap((group) => [
  { group, what: "everything", ends: ["succeeded", "interrupted"] },
  { group, what: "everything but the sandboxes", ends: ["succeeded"] },
])

test.for(cases)(
  "[F15] $what killed amid several turns and a boot starts again: nothing is lost or repeated, the sessions go on (seeds $group)",
  { timeout: 600_000 },
  ({ group, what, ends }) =>
    sessions.lendAll(group.length, async (lent) => {
      const [seed = 0] = group
      const booting = await FaultSession.create(shared.stack, [streaming(200)])
      await booting.watch(1)
      await instant(seed, BOOT_MS)
      const turns = await Promise.all(lent.map((session, index) => begin(session, group[index])))
      await instant(seed, WORK_MS)
      await killAndRestart([...lent, booting], what !== "everything")

      await Promise.all(turns.map((turn) => goesOn(turn, ends)))
      const first = await booting.hasEnded(await booting.firstPrompt(), AGAIN_WITHIN_MS)
      expect(["succeeded", "interrupted"]).toContain(first)
      await assertInvariants(booting)
      await booting.terminate(AGAIN_WITHIN_MS)
    }),
)

afterAll(() => tell("F15 the whole stack is ready again", restartMs))

type Begun = { session: FaultSession; running: string; queued: string }

/** Begins a turn after a pause that the seed decides, so that the kill meets each at another place. */
async function begin(session: FaultSession, seed = 0): Promise<Begun> {
  await instant(seed, WORK_MS)
  const running = await session.send(WORK)
  const queued = await session.send([streaming(200)])
  await session.viewer.until("the turn to begin", AGAIN_WITHIN_MS, (log) => {
    return session.stateIn(log, running) === "running"
  })
  return { session, running, queued }
}

/** The turn ends in one of these ways, what waited is done, and so is what comes next. */
async function goesOn({ session, running, queued }: Begun, ends: string[]): Promise<void> {
  expect(ends).toContain(await session.hasEnded(running, AGAIN_WITHIN_MS))
  expect(await session.hasEnded(queued, AGAIN_WITHIN_MS)).toBe("succeeded")
  const next = await session.send([streaming(100)])
  expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
  await assertInvariants(session)
}

async function killAndRestart(watched: FaultSession[], sparesSandboxes: boolean): Promise<void> {
  await shared.stack.killEverything({ sparesSandboxes })
  if (!sparesSandboxes) {
    for (const { viewers } of watched) for (const viewer of viewers) viewer.expectLostDeltas()
  }
  const startedAt = performance.now()
  await shared.stack.restart()
  restartMs.push(performance.now() - startedAt)
}

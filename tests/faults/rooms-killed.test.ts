import { afterAll, beforeAll, expect, test } from "vitest"
import { BOOT_WITHIN_MS, FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { reads, streaming } from "./script.ts"
import { groups, instant } from "./seeds.ts"
import { until } from "./until.ts"

/** So many kills happen over one stream, so that each seed need not produce one of its own. */
const KILLS_PER_STREAM = 5
/** Each read is stored in two or three versions, and the agent's context holds about this many reads. */
const ROUND = [streaming(300), reads(64)]
const ROUNDS = 15
const STREAM_WITHIN_MS = 280_000
const BACK_WITHIN_MS = 2_000
const AGAIN_WITHIN_MS = 20_000
const CALM_WITHIN_MS = 3_000

let stack: FaultStack

beforeAll(async () => {
  stack = await FaultStack.start()
})

afterAll(() => stack?.stop())

test.for(groups(KILLS_PER_STREAM).map((kills) => ({ kills })))(
  "[F1] rooms killed while 2,000 entries stream lose and repeat none (seeds $kills)",
  { timeout: STREAM_WITHIN_MS + BOOT_WITHIN_MS },
  async ({ kills }) => {
    const session = await FaultSession.ready(stack, 3)
    const promptId = await session.send(Array.from({ length: ROUNDS }, () => ROUND).flat())
    await session.viewer.until("the stream to begin", BOOT_WITHIN_MS, (log) =>
      log.changed.some((key) => log.entries.get(key)?.kind === "text"),
    )

    const back: Back[] = []
    for (const seed of kills) {
      await instant(seed, CALM_WITHIN_MS)
      session.assertRunning(promptId)
      back.push(await killRooms(session))
    }
    expect(await session.hasEnded(promptId, STREAM_WITHIN_MS)).toBe("succeeded")
    await assertInvariants(session)
    expect(session.viewer.log.cursor.seq).toBeGreaterThan(2_000)
    expect(session.executions(promptId)).toBe(1)
    const viewersMs = back.flatMap((each) => each.viewersMs)
    tell("F1 viewers are back after the rooms", viewersMs)
    const runnerMs = back.map((each) => each.runnerMs)
    tell("F1 the runner's next entry after the rooms", runnerMs)
    expect(Math.max(...viewersMs)).toBeLessThan(BACK_WITHIN_MS)
    session.close()
  },
)

/** Milliseconds from the rooms' return until each viewer was live again, and until the runner's next entry was shown. */
type Back = { viewersMs: number[]; runnerMs: number }

async function killRooms(session: FaultSession): Promise<Back> {
  const before = session.viewers.map(
    ({ shown, log }) => [shown.replays.length, log.cursor.seq] as const,
  )
  await stack.isBack("rooms", stack.kill("rooms"))
  const backAt = performance.now()
  const returned = session.viewers.map(async (viewer, index) => {
    const [replays = 0] = before[index] ?? []
    await until(
      "the viewer to be back",
      AGAIN_WITHIN_MS,
      () => viewer.shown.replays.length > replays,
    )
    return (viewer.shown.replays[replays] ?? Number.POSITIVE_INFINITY) - backAt
  })
  const viewersMs = await Promise.all(returned)
  await session.viewer.until("the runner to be back", AGAIN_WITHIN_MS, () => {
    return session.viewer.shown.link === "connected"
  })
  const [, seq = 0] = before[0] ?? []
  await session.viewer.until("more entries", AGAIN_WITHIN_MS, (log) => log.cursor.seq > seq + 2)
  return { viewersMs, runnerMs: performance.now() - backAt }
}

import { setTimeout as delay } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { reads, streaming } from "./script.ts"
import { instant, seeds } from "./seeds.ts"
import { SessionPool } from "./session-pool.ts"
import { isRunnerLink } from "./tcp-proxy.ts"
import { until } from "./until.ts"

const HOLE_MS = 90_000
const ROUNDS = 8
const READS = 64
const BEGUN_MS = 3_000
const LOST_WITHIN_MS = 15_000
const AGAIN_WITHIN_MS = 60_000
const ENDED_WITHIN_MS = 180_000
const DROPS = 4

let stack: FaultStack
const sessions = new SessionPool(() => stack)

beforeAll(async () => {
  stack = await FaultStack.start({ isProxied: true })
})

afterAll(async () => {
  sessions.close()
  await stack?.stop()
})

describe("[F6] a runner that the network cuts off for 90 s", () => {
  const lostMs: number[] = []
  const backMs: number[] = []

  test.concurrent.for(seeds)(
    "is shown as lost and keeps its sandbox; its 500 entries arrive once and in order (seed %i)",
    { timeout: 600_000 },
    (seed) =>
      sessions.lendOnce(async (session) => {
        const { viewer } = session
        const pause = { sleepMs: HOLE_MS / ROUNDS / 2 }
        const rounds = Array.from({ length: ROUNDS }, () => [streaming(300), pause, reads(READS)])
        const promptId = await session.send(rounds.flat())
        await session.hasBegun(promptId, "text", AGAIN_WITHIN_MS)
        await instant(seed, BEGUN_MS)
        const machine = { runner: session.runner(), agent: session.agent() }

        const heal = stack.proxy.blackHole(isRunnerLink(session.id))
        const cutAt = performance.now()
        await until("the runner to be shown as lost", LOST_WITHIN_MS, () => {
          return viewer.shown.link === "lost"
        })
        lostMs.push(performance.now() - cutAt)
        const status = await until("the session to say so", AGAIN_WITHIN_MS, async () => {
          const query = { sessionId: session.id }
          const { status, statusReason } = await stack.api.session.get.query(query)
          return statusReason.includes("Lost contact") ? status : null
        })
        expect(status).toBe("working")
        await delay(cutAt + HOLE_MS - performance.now())
        expect({ runner: session.runner(), agent: session.agent() }).toEqual(machine)
        const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
        expect(sandbox).toMatchObject({ state: "ready", link: "lost", generation: 1 })

        heal()
        const healedAt = performance.now()
        await until("the runner to be back", AGAIN_WITHIN_MS, () => {
          return viewer.shown.link === "connected"
        })
        backMs.push(performance.now() - healedAt)
        expect(await session.hasEnded(promptId, ENDED_WITHIN_MS)).toBe("succeeded")
        const tools = [...viewer.log.entries.values()].filter(
          ({ kind, turnId }) => kind === "tool" && turnId === promptId,
        )
        expect(tools).toHaveLength(ROUNDS * READS + 1)
        await assertInvariants(session)
      }),
  )

  afterAll(() => {
    tell("F6 a runner that is cut off is shown as lost", lostMs)
    tell("F6 a runner is back after the network", backMs)
  })
})

describe("[F6] a slow wire that drops again and again", () => {
  beforeAll(() => stack.proxy.delay(150))
  afterAll(() => stack.proxy.delay(0))

  test.concurrent.for(seeds)("loses and repeats nothing (seed %i)", (seed) =>
    sessions.lend(async (session) => {
      const work = Array.from({ length: 3 }, () => [streaming(1_000), reads(20)])
      const promptId = await session.send(work.flat())
      for (let drop = 0; drop < DROPS; drop++) {
        const { seq } = session.viewer.log.cursor
        await session.viewer.until("more entries", AGAIN_WITHIN_MS, ({ cursor }) => {
          return cursor.seq > seq + 5
        })
        await instant(seed * DROPS + drop, 500)
        stack.proxy.drop(isRunnerLink(session.id))
      }
      expect(await session.hasEnded(promptId, ENDED_WITHIN_MS)).toBe("succeeded")
      await assertInvariants(session)
    }),
  )
})

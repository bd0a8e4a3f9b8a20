import { setTimeout as delay } from "node:timers/promises"
import { afterAll, beforeAll, expect, test } from "vitest"
import { FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { reads, streaming } from "./script.ts"
import { isRunnerLink } from "./tcp-proxy.ts"
import { until } from "./until.ts"

const HOLE_MS = 90_000
const ROUNDS = 8
const READS = 64
const LOST_WITHIN_MS = 15_000
const AGAIN_WITHIN_MS = 30_000
const ENDED_WITHIN_MS = 120_000

let stack: FaultStack
let session: FaultSession

beforeAll(async () => {
  stack = await FaultStack.start({ isProxied: true })
  session = await FaultSession.ready(stack)
})

afterAll(async () => {
  session?.close()
  await stack?.stop()
})

test("[F6] 500 entries of a runner that the network cuts off for 90 s arrive once and in order, from the same sandbox", async () => {
  const pause = { sleepMs: HOLE_MS / ROUNDS / 2 }
  const rounds = Array.from({ length: ROUNDS }, () => [streaming(300), pause, reads(READS)])
  const promptId = await session.send(rounds.flat())
  await session.viewer.until("the stream to begin", AGAIN_WITHIN_MS, (log) =>
    [...log.entries.values()].some(({ kind, turnId }) => kind === "text" && turnId === promptId),
  )
  const machine = { runner: session.runner(), agent: session.agent() }

  stack.proxy.blackHole(isRunnerLink)
  const cutAt = performance.now()
  await until("the runner to be shown as lost", LOST_WITHIN_MS, () => {
    return session.viewer.link === "lost"
  })
  tell("F6 a runner that is cut off is shown as lost", [performance.now() - cutAt])
  const status = await until("the session to say so", AGAIN_WITHIN_MS, async () => {
    const { status, statusReason } = await stack.api.session.get.query({ sessionId: session.id })
    return statusReason.includes("Lost contact") ? status : null
  })
  expect(status).toBe("working")
  await delay(cutAt + HOLE_MS - performance.now())
  expect({ runner: session.runner(), agent: session.agent() }).toEqual(machine)
  expect(await stack.api.sandbox.get.query({ sessionId: session.id })).toMatchObject({
    state: "ready",
    link: "lost",
    generation: 1,
  })

  stack.proxy.heal()
  const healedAt = performance.now()
  await until("the runner to be back", AGAIN_WITHIN_MS, () => session.viewer.link === "connected")
  tell("F6 a runner is back after the network", [performance.now() - healedAt])
  expect(await session.hasEnded(promptId, ENDED_WITHIN_MS)).toBe("succeeded")
  const tools = [...session.viewer.log.entries.values()].filter(
    ({ kind, turnId }) => kind === "tool" && turnId === promptId,
  )
  expect(tools).toHaveLength(ROUNDS * READS + 1)
  await assertInvariants(session)
})

test("[F6] a slow wire that drops again and again loses and repeats nothing", async () => {
  stack.proxy.delay(150)
  const promptId = await session.send(
    Array.from({ length: 3 }, () => [streaming(1_000), reads(20)]).flat(),
  )
  for (let drops = 0; drops < 4; drops++) {
    const { seq } = session.viewer.log.cursor
    await session.viewer.until(
      "more entries",
      AGAIN_WITHIN_MS,
      ({ cursor }) => cursor.seq > seq + 5,
    )
    stack.proxy.drop(isRunnerLink)
  }
  expect(await session.hasEnded(promptId, ENDED_WITHIN_MS)).toBe("succeeded")
  stack.proxy.delay(0)
  await assertInvariants(session)
})

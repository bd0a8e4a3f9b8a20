import { afterAll, beforeAll, expect, test } from "vitest"
import { agentParts } from "./agent-store.ts"
import { FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { command, streaming } from "./script.ts"
import { instant, seeds } from "./seeds.ts"
import { until } from "./until.ts"

/** Streams, runs a command, streams again: a kill meets each of them for some seed. */
const WORK = [streaming(1_200), command(1), streaming(1_000)]
const WORK_MS = 2_800
const AGAIN_WITHIN_MS = 60_000
const LOST_WITHIN_MS = 10_000
const ENDED_WITHIN_MS = 5_000

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

/** A prompt that is at work at the instant that the seed decides. */
async function atWork(seed: number): Promise<string> {
  const promptId = await session.send(WORK)
  await session.viewer.until("text of the turn", AGAIN_WITHIN_MS, (log) =>
    [...log.entries.values()].some(({ kind, turnId }) => kind === "tool" && turnId === promptId),
  )
  await instant(seed, WORK_MS)
  session.assertRunning(promptId)
  return promptId
}

const shownLost: number[] = []
const shownEnded: number[] = []

test.for(seeds)(
  "[F2] a runner killed amid a turn is shown as lost and comes back; the turn is interrupted once and can be retried (seed %i)",
  async (seed) => {
    const promptId = await atWork(seed)
    const killed = session.runner()
    const lostBefore = session.viewer.links.length
    session.kill(killed)
    const killedAt = performance.now()

    await until("the runner to be shown as lost", LOST_WITHIN_MS, () =>
      session.viewer.links.slice(lostBefore).some(({ link }) => link === "lost"),
    )
    shownLost.push((session.viewer.links[lostBefore]?.at ?? Number.NaN) - killedAt)
    await until("another runner", AGAIN_WITHIN_MS, () => session.runner() !== killed)
    expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("interrupted")
    await assertInvariants(session)
    expect(session.executions(promptId)).toBe(1)

    await stack.api.prompt.retry.mutate({ promptId })
    await until("the retry to begin", AGAIN_WITHIN_MS, async () => {
      return (await session.prompt(promptId)).attempt === 2
    })
    expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
    await assertInvariants(session)
    expect(session.executions(promptId)).toBe(2)
  },
)

test.for(seeds)(
  "[F3] an agent killed amid a turn ends it once, keeps its text and leaves no process; the next prompt knows what was before (seed %i)",
  async (seed) => {
    const promptId = await atWork(seed)
    const killed = session.agent()
    const left = session.processes().filter(({ command }) => command.includes("seq"))
    session.kill(killed)
    const killedAt = performance.now()
    await session.viewer.until("the turn's end", ENDED_WITHIN_MS, (log) => {
      return session.stateIn(log, promptId) === "interrupted"
    })
    shownEnded.push(performance.now() - killedAt)
    const orphans = new Set([killed, ...left.map(({ pid }) => pid)])
    await until("the agent's commands to be gone", ENDED_WITHIN_MS, () =>
      session.processes().every(({ pid }) => !orphans.has(pid)),
    )
    await assertInvariants(session)

    const before = agentParts(session.directory).map(({ id }) => id)
    const next = await session.send([streaming(100)])
    expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
    const after = agentParts(session.directory).map(({ id }) => id)
    expect(after).toEqual(expect.arrayContaining(before))
    await assertInvariants(session)
  },
)

afterAll(() => {
  tell("F2 a killed runner is shown as lost", shownLost)
  tell("F3 a killed agent's turn is shown as ended", shownEnded)
})

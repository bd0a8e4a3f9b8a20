import { afterAll, describe, expect, test } from "vitest"
import { agentParts } from "./agent-store.ts"
import type { FaultSession } from "./fault-session.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { command, streaming } from "./script.ts"
import { instant, seeds } from "./seeds.ts"
import { stackWithPool } from "./shared-stack.ts"
import { until } from "./until.ts"

/** Streams, runs a command, streams again: a kill meets each of them for some seed. */
const WORK = [streaming(1_200), command(1), streaming(1_000)]
const WORK_MS = 2_800
const AGAIN_WITHIN_MS = 90_000
const LOST_WITHIN_MS = 10_000
const ENDED_WITHIN_MS = 5_000

const shared = stackWithPool()
const { sessions } = shared

/** A prompt that is at work at the instant that the seed decides. */
async function atWork(session: FaultSession, seed: number): Promise<string> {
  const promptId = await session.send(WORK)
  await session.hasBegun(promptId, "tool", AGAIN_WITHIN_MS)
  await instant(seed, WORK_MS)
  session.assertRunning(promptId)
  return promptId
}

/** Text of the turn as the first viewer sees it, by key. */
function textsOf({ viewer }: FaultSession, promptId: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const entry of viewer.log.entries.values()) {
    if (entry.kind === "text" && entry.turnId === promptId) texts.set(entry.key, entry.text)
  }
  return texts
}

/** What was on screen when it was interrupted still stands there. */
function expectKept(session: FaultSession, promptId: string, before: Map<string, string>): void {
  const after = textsOf(session, promptId)
  for (const [key, text] of before) expect(after.get(key), key).toMatch(text.trimEnd())
}

describe("[F2] a runner killed amid a turn", () => {
  const shownLost: number[] = []

  test.concurrent.for(seeds)(
    "is shown as lost and comes back; the turn is interrupted once, its text is kept, and it can be retried (seed %i)",
    (seed) =>
      sessions.lend(async (session) => {
        const promptId = await atWork(session, seed)
        const killed = session.runner()
        const { links } = session.viewer.shown
        const linksBefore = links.length
        const texts = textsOf(session, promptId)
        session.kill(killed)
        const killedAt = performance.now()

        await until("the runner to be shown as lost", LOST_WITHIN_MS, () =>
          links.slice(linksBefore).some(({ link }) => link === "lost"),
        )
        shownLost.push((links[linksBefore]?.at ?? Number.NaN) - killedAt)
        await until("another runner", AGAIN_WITHIN_MS, () => session.runner() !== killed)
        expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("interrupted")
        await assertInvariants(session)
        expectKept(session, promptId, texts)
        expect(session.executions(promptId)).toBe(1)

        await shared.stack.api.prompt.retry.mutate({ promptId })
        await until("the retry to begin", AGAIN_WITHIN_MS, async () => {
          return (await session.prompt(promptId)).attempt === 2
        })
        expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
        await assertInvariants(session)
        expect(session.executions(promptId)).toBe(2)
      }),
  )

  afterAll(() => tell("F2 a killed runner is shown as lost", shownLost))
})

describe("[F3] an agent killed amid a turn", () => {
  const shownEnded: number[] = []

  test.concurrent.for(seeds)(
    "ends it once, keeps its text and leaves no process; the next prompt knows what was before (seed %i)",
    (seed) =>
      sessions.lend(async (session) => {
        const promptId = await atWork(session, seed)
        const killed = session.agent()
        const left = session.processes().filter(({ command }) => command.includes("seq"))
        const texts = textsOf(session, promptId)
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
        expectKept(session, promptId, texts)

        const before = agentParts(session.directory).map(({ id }) => id)
        const next = await session.say("Go on.")
        expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
        const after = agentParts(session.directory).map(({ id }) => id)
        expect(after).toEqual(expect.arrayContaining(before))
        // A model that does not see the interrupted prompt has no script to go on with, and introduces itself.
        expect([...textsOf(session, next).values()].join()).toMatch(/^(tick tock|Done)/)
        await assertInvariants(session)
      }),
  )

  afterAll(() => tell("F3 a killed agent's turn is shown as ended", shownEnded))
})

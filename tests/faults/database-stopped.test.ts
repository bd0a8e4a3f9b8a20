import { setTimeout as delay } from "node:timers/promises"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as z from "zod"
import type { FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { streaming } from "./script.ts"
import { groups, instant } from "./seeds.ts"
import { AT_ONCE, SessionPool } from "./session-pool.ts"

const DOWN_MS = 15_000
const ANSWER_WITHIN_MS = 12_000
const GOES_ON_WITHIN_MS = 2_000
const WHOLE_WITHIN_MS = 30_000
const AGAIN_WITHIN_MS = 90_000

let stack: FaultStack
const sessions = new SessionPool(() => stack)

beforeAll(async () => {
  stack = await FaultStack.start({ ownsPostgres: true })
})

afterAll(async () => {
  sessions.close()
  await stack?.stop()
})

/** An outage meets a session for each seed: some turns outlive it, others do not. */
const turnMs = (seed: number) => (seed % 2 === 0 ? DOWN_MS / 2 : DOWN_MS + 10_000)

const wholeAfterMs: number[] = []

test.for(groups(AT_ONCE).map((group) => ({ group })))(
  "[F5][D15] while PostgreSQL is gone for 15 s turns go on; API and viewers are told; afterwards all is stored (seeds $group)",
  ({ group }) =>
    sessions.lendAll(group.length, async (lent) => {
      const cases = await Promise.all(lent.map((session, index) => begin(session, group[index])))
      await instant(group[0] ?? 0, 1_000)
      for (const { session, promptId } of cases) session.assertRunning(promptId)

      await stack.stopPostgresAtOnce()
      const returnAt = performance.now() + DOWN_MS
      await Promise.all(cases.map(({ session }) => goesOn(session)))
      for (const { session } of cases) await expectUnavailable(session)
      await delay(returnAt - performance.now())
      for (const { session, next } of cases) {
        expect(session.stateIn(session.viewer.log, next)).toBeUndefined()
        expect(session.viewer.shown.outage).toMatchObject({ reason: "database-unreachable" })
      }
      await stack.startPostgres()

      const backAt = performance.now()
      await Promise.all(cases.map(({ session }) => session.hasCaughtUp(WHOLE_WITHIN_MS)))
      wholeAfterMs.push(performance.now() - backAt)
      await Promise.all(cases.map(goesWell))
    }),
)

afterAll(() => tell("F5 the history is whole after PostgreSQL's return", wholeAfterMs))

type Begun = { session: FaultSession; promptId: string; next: string }

/** A turn that streams, and a prompt that waits for its end. */
async function begin(session: FaultSession, seed = 0): Promise<Begun> {
  const promptId = await session.send([streaming(turnMs(seed), 20)])
  const next = await session.send([])
  await session.hasBegun(promptId, "text", AGAIN_WITHIN_MS)
  return { session, promptId, next }
}

async function goesWell({ session, promptId, next }: Begun): Promise<void> {
  const { viewer } = session
  await viewer.until("the outage's end to be told", AGAIN_WITHIN_MS, () => !viewer.shown.outage)
  expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
  expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
  await assertInvariants(session)
}

async function goesOn({ viewer }: FaultSession): Promise<void> {
  const seen = viewer.shown.frames.length
  await viewer.until("the stream to go on", GOES_ON_WITHIN_MS, () => {
    return viewer.shown.frames.length > seen
  })
}

const refusalSchema = z.object({
  error: z.object({
    message: z.string().regex(/^[A-Z].{20,}\.$/),
    data: z.object({ httpStatus: z.literal(503), reason: z.string() }),
  }),
})

/** 503 with a sentence, a reason and when to come again, and nothing of the database's own words. */
async function expectUnavailable({ id: sessionId }: FaultSession): Promise<void> {
  const url = new URL("/api/trpc/session.get", stack.line.url)
  url.searchParams.set("input", JSON.stringify({ sessionId }))
  const answer = await fetch(url, {
    headers: { authorization: `Bearer ${stack.line.apiKey}` },
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  })
  const text = await answer.text()
  expect(answer.status, text).toBe(503)
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0)
  expect(refusalSchema.safeParse(JSON.parse(text)).error, text).toBeUndefined()
  expect(text).not.toMatch(/ECONN|prisma|postgres|127\.0\.0\.1/i)
}

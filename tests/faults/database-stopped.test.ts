import { setTimeout as delay } from "node:timers/promises"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as z from "zod"
import { FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { streaming } from "./script.ts"
import { instant, seedCount } from "./seeds.ts"

const DOWN_MS = 15_000
const ANSWER_WITHIN_MS = 12_000
const WHOLE_WITHIN_MS = 30_000
const AGAIN_WITHIN_MS = 60_000

let stack: FaultStack
let session: FaultSession

beforeAll(async () => {
  stack = await FaultStack.start({ ownsPostgres: true })
  session = await FaultSession.ready(stack)
})

afterAll(async () => {
  session?.close()
  await stack?.stop()
})

/** An outage takes its time, so there are fewer of them: one that a turn outlives, one that it does not. */
const outages = Array.from({ length: Math.max(2, Math.ceil(seedCount / 5)) }, (_, index) => ({
  seed: index + 1,
  turnMs: index % 2 === 0 ? DOWN_MS + 10_000 : DOWN_MS / 2,
}))

const wholeAfterMs: number[] = []

test.for(outages)(
  "[F5] while PostgreSQL is gone for 15 s a turn of $turnMs ms goes on; the API says so; afterwards all is stored (seed $seed)",
  async ({ seed, turnMs }) => {
    const promptId = await session.send([streaming(turnMs, 20)])
    const next = await session.send([])
    await session.viewer.until("the stream to begin", AGAIN_WITHIN_MS, (log) =>
      [...log.entries.values()].some(({ kind, turnId }) => kind === "text" && turnId === promptId),
    )
    await instant(seed, 2_000)
    session.assertRunning(promptId)

    await stack.stopPostgresAtOnce()
    const returnAt = performance.now() + DOWN_MS
    await expectUnavailable()
    const seen = session.viewer.frames.length
    await session.viewer.until("the stream to go on", 2_000, () => {
      return session.viewer.frames.length > seen
    })
    await delay(returnAt - performance.now())
    expect(session.stateIn(session.viewer.log, next)).toBeUndefined()
    await stack.startPostgres()

    const backAt = performance.now()
    await session.hasCaughtUp(WHOLE_WITHIN_MS)
    wholeAfterMs.push(performance.now() - backAt)
    expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
    expect(await session.hasEnded(next, AGAIN_WITHIN_MS)).toBe("succeeded")
    await assertInvariants(session)
  },
)

afterAll(() => tell("F5 the history is whole after PostgreSQL's return", wholeAfterMs))

const refusalSchema = z.object({
  error: z.object({
    message: z.string().regex(/^[A-Z].{20,}\.$/),
    data: z.object({ httpStatus: z.literal(503), reason: z.string() }),
  }),
})

/** 503 with a sentence, a reason and when to come again, and nothing of the database's own words. */
async function expectUnavailable(): Promise<void> {
  const url = new URL("/api/trpc/session.get", stack.line.url)
  url.searchParams.set("input", JSON.stringify({ sessionId: session.id }))
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

import { randomUUID } from "node:crypto"
import { afterAll, expect, test } from "vitest"
import * as z from "zod"
import { FaultSession } from "./fault-session.ts"
import { tell } from "./figures.ts"
import { assertInvariants } from "./invariants.ts"
import { scripted, streaming } from "./script.ts"
import { instant, seeds } from "./seeds.ts"
import { stackWithSession } from "./shared-stack.ts"
import { until } from "./until.ts"

const STREAM_MS = 6_000
const AGAIN_WITHIN_MS = 60_000
/** A stream that nothing disturbs pauses for less. */
const PAUSE_MS = 2_000
const CREATE_MS = 150

const shared = stackWithSession()

const pauses: number[] = []

test.for(seeds)(
  "[F4] the web server killed amid a stream and a session.create touches not the one and repeats not the other (seed %i)",
  async (seed) => {
    const { stack, session } = shared
    const { frames } = session.viewer.shown
    const replays = session.viewers.map(({ shown }) => shown.replays.length)
    const promptId = await session.send([streaming(STREAM_MS)])
    await session.hasBegun(promptId, "text", AGAIN_WITHIN_MS)
    await instant(seed, STREAM_MS / 4)

    const { repoUrl } = await stack.api.session.get.query({ sessionId: session.id })
    const idempotencyKey = randomUUID()
    const wish = { repoUrl, prompt: scripted(idempotencyKey, []), idempotencyKey }
    const created = stack.api.session.create.mutate(wish).then(
      ({ id }) => id,
      () => null,
    )
    await instant(seed, CREATE_MS)
    session.assertRunning(promptId)
    const seen = frames.length
    const killed = stack.kill("web")
    const first = await created
    await until("a second of stream", AGAIN_WITHIN_MS, () => {
      return performance.now() - (frames[seen] ?? performance.now()) > 1_000
    })
    pauses.push(longestPause(frames.slice(seen - 1)))
    await stack.isBack("web", killed)

    const { id } = await until("the repeated create", AGAIN_WITHIN_MS, () =>
      stack.api.session.create.mutate(wish),
    )
    if (first !== null) expect(id).toBe(first)
    await expectOneOfEach(id, idempotencyKey)
    expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
    await assertInvariants(session)
    expect(session.viewers.map(({ shown }) => shown.replays.length)).toEqual(replays)
    expect(pauses.at(-1)).toBeLessThan(PAUSE_MS)
  },
)

const countSchema = z.object({ sessions: z.int(), prompts: z.int(), sandboxes: z.int() })

/** One session with one prompt and one sandbox, and no more after its end. */
async function expectOneOfEach(id: string, idempotencyKey: string): Promise<void> {
  const { stack } = shared
  const [counts] = await stack.rows(
    countSchema,
    `SELECT count(DISTINCT s.id)::int AS sessions, count(DISTINCT p.id)::int AS prompts,
       count(DISTINCT b.generation)::int AS sandboxes
     FROM "Session" s LEFT JOIN "Prompt" p ON p."sessionId" = s.id
     LEFT JOIN "Sandbox" b ON b."sessionId" = s.id WHERE s."idempotencyKey" = $1`,
    [idempotencyKey],
  )
  expect(counts).toEqual({ sessions: 1, prompts: 1, sandboxes: 1 })
  const made = new FaultSession(stack, id)
  await until("its machine", AGAIN_WITHIN_MS, () => made.supervisor())
  await made.terminate(AGAIN_WITHIN_MS)
}

afterAll(() => tell("F4 longest pause of a stream whose web server died", pauses))

function longestPause(times: number[]): number {
  return Math.max(...times.map((time, index) => time - (times[index - 1] ?? time)))
}

import { setTimeout as delay } from "node:timers/promises"
import * as z from "zod"
import { cursorSchema, formatCursor, parseCursor } from "#protocol/cursor"
import type { Entry } from "#protocol/entry"
import { sessionIdSchema } from "#protocol/ids"
import type { Actor, DomainContext } from "../context.ts"
import { timelinePage } from "./timeline-page.ts"

const PAGE = 500
const POLL_INTERVAL_MS = 500
/** How long somebody who has lost access may still read along. */
const ACCESS_CHECK_INTERVAL_MS = 10_000

export const sessionEventsInput = z.strictObject({
  sessionId: sessionIdSchema,
  /** Id of the last event that the caller has; left out: from the beginning. */
  lastEventId: cursorSchema.optional(),
})

export type SessionEvent = { id: string; entry: Entry }

/**
 * The session's entries as they are stored, oldest version first, status changes among them. Goes on until `signal`
 * aborts or `actorNow`, asked every 10 seconds, throws; whoever resumes with the last id misses nothing.
 */
export async function* sessionEvents(
  ctx: DomainContext,
  { sessionId, lastEventId = "0" }: { sessionId: string; lastEventId?: string },
  { signal, actorNow }: { signal?: AbortSignal | undefined; actorNow: () => Promise<Actor> },
): AsyncGenerator<SessionEvent, void> {
  let since = lastEventId
  let { actor } = ctx
  let checkedAt = ctx.now().getTime()
  while (!signal?.aborted) {
    if (ctx.now().getTime() - checkedAt >= ACCESS_CHECK_INTERVAL_MS) {
      actor = await actorNow()
      checkedAt = ctx.now().getTime()
    }
    const page = await timelinePage({ ...ctx, actor }, { sessionId, since, limit: PAGE })
    const { epoch } = parseCursor(page.upTo)
    for (const entry of page.items) yield { id: formatCursor({ epoch, seq: entry.seq }), entry }
    since = page.upTo
    if (!page.hasMore) await pause(signal)
  }
}

/** Waits for the next look, or until the caller is gone. */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(POLL_INTERVAL_MS, undefined, { signal })
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

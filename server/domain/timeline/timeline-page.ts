import * as z from "zod"
import { cursorSchema, formatCursor, parseCursor } from "#protocol/cursor"
import type { Entry } from "#protocol/entry"
import { sessionIdSchema } from "#protocol/ids"
import type { Session } from "../../../prisma/generated/client.ts"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { toEntry } from "./stored-entry.ts"

const MAX_PAGE = 2_000
/** Stored size at which a page ends early. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024

export const timelinePageInput = z
  .strictObject({
    sessionId: sessionIdSchema,
    /** Cursor that the caller holds everything up to; `"0"` for the beginning. */
    since: cursorSchema.optional(),
    /** The smallest `firstSeq` that the caller holds: the page ends right before it. */
    before: z.int().positive().optional(),
    /** With `before`: the `upTo` of the caller's first page, which stays the place to go on from once the log reached it. */
    upTo: cursorSchema.optional(),
    limit: z.int().min(1).max(MAX_PAGE).default(200),
  })
  .refine(({ since, before }) => since === undefined || before === undefined, {
    error: "give since or before, not both",
  })
export type TimelinePageInput = Omit<z.infer<typeof timelinePageInput>, "sessionId"> & {
  sessionId: string
}

export type TimelinePage = { items: Entry[]; upTo: string; hasMore: boolean }

export const timelinePageSchema = z.object({
  // Entries were checked when they were ingested; checking thousands again would cost more than reading them.
  items: z.array(z.custom<Entry>()),
  upTo: z.string(),
  hasMore: z.boolean(),
})

/**
 * One page of a timeline (E4). `since` goes forward by `seq`; `before`, or neither for the newest page, goes back by
 * `firstSeq` and lists the page in the order of the timeline.
 */
export async function timelinePage(
  ctx: DomainContext,
  { sessionId, since, before, upTo, limit }: TimelinePageInput,
): Promise<TimelinePage> {
  const session = await findSession(ctx, sessionId)
  return since === undefined
    ? pageBack(ctx, session, { before, upTo, limit })
    : pageForward(ctx, session, { since, limit })
}

type EntryRow = Parameters<typeof toEntry>[0] & { bytesSoFar: number }

async function pageForward(
  { db }: DomainContext,
  session: Session,
  { since, limit }: { since: string; limit: number },
): Promise<TimelinePage> {
  const cursor = parseCursor(since)
  // A cursor of another epoch counts the log of a room that is gone.
  const held = BigInt(cursor.epoch) === session.epoch ? cursor.seq : 0
  const after = Math.min(held, session.ingestedSeq)
  const rows = await db.$queryRaw<EntryRow[]>`
    select page.*, sum(pg_column_size(body)) over (order by seq)::float8 as "bytesSoFar"
      from (select key, seq, "firstSeq", "turnId", kind, body, at
              from "Entry"
             where "sessionId" = ${session.id} and seq > ${after} and seq <= ${session.ingestedSeq}
             order by seq
             limit ${limit + 1}) page
     order by seq`
  const shown = fitting(rows, limit)
  const hasMore = shown.length < rows.length
  const seq = hasMore ? (shown.at(-1)?.seq ?? after) : session.ingestedSeq
  return { items: shown.map(rowEntry), upTo: at(session, seq), hasMore }
}

async function pageBack(
  { db }: DomainContext,
  session: Session,
  { before, upTo, limit }: Pick<TimelinePageInput, "before" | "upTo" | "limit">,
): Promise<TimelinePage> {
  const end = session.ingestedSeq + 1
  const rows = await db.$queryRaw<EntryRow[]>`
    select page.*,
           sum(pg_column_size(body)) over (order by "firstSeq" desc)::float8 as "bytesSoFar"
      from (select key, seq, "firstSeq", "turnId", kind, body, at
              from "Entry"
             where "sessionId" = ${session.id} and "firstSeq" < ${Math.min(before ?? end, end)}
             order by "firstSeq" desc
             limit ${limit + 1}) page
     order by "firstSeq" desc`
  const shown = fitting(rows, limit)
  return {
    items: shown.map(rowEntry).reverse(),
    upTo: upTo && isReached(session, upTo) ? upTo : at(session, session.ingestedSeq),
    hasMore: shown.length < rows.length,
  }
}

/** The rows of one page: at least one, at most `limit`, about {@link MAX_PAGE_BYTES}. */
function fitting(rows: EntryRow[], limit: number): EntryRow[] {
  return rows.slice(0, limit).filter((row, i) => i === 0 || row.bytesSoFar <= MAX_PAGE_BYTES)
}

/** A place that the log has not come to yet would have the caller skip what is stored until then. */
function isReached({ epoch, ingestedSeq }: Session, upTo: string): boolean {
  const cursor = parseCursor(upTo)
  const cursorEpoch = BigInt(cursor.epoch)
  return cursorEpoch < epoch || (cursorEpoch === epoch && cursor.seq <= ingestedSeq)
}

const rowEntry = ({ bytesSoFar: _, ...row }: EntryRow) => toEntry(row)

const at = ({ epoch }: Session, seq: number) => formatCursor({ epoch: Number(epoch), seq })

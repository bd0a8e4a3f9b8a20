import type { LogItem, RoomPostOf, StaleAnswer } from "#protocol/call"
import type { Report } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import { isDataRefused } from "../../database-errors.ts"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { staleAnswer } from "../sandboxes/index.ts"
import { lockSession, refreshStatus } from "../status/index.ts"
import { applyReport } from "./apply-report.ts"
import { storeEntries } from "./store-entries.ts"

const REMIND_AFTER_MS = 3_000

/** After these the session may go on to its next prompt. */
const FREES: ReadonlySet<Report["type"]> = new Set(["attempt.ended", "attempt.returned"])

export type IngestResult =
  | { kind: "ingested"; ingestedSeq: number }
  /** The room belongs to an older generation or epoch than PostgreSQL knows: it has to fence itself. */
  | ({ kind: "stale" } & StaleAnswer)

/**
 * Takes a piece of a room's log in one transaction (E5): entries by newest version, reports in order and once, then
 * the place up to which the log is held. A repeated piece, or one after a gap, answers that place and changes nothing.
 */
export async function ingestLog(
  ctx: SystemContext,
  post: RoomPostOf<"ingest">,
): Promise<IngestResult> {
  try {
    return await ingestPiece(ctx, post)
  } catch (error) {
    if (!isDataRefused(error)) throw error
    return ingestOneByOne(ctx, post)
  }
}

/** One item that PostgreSQL cannot hold must not keep back all that follows: it is left out, loudly. */
async function ingestOneByOne(
  ctx: SystemContext,
  { from, to, items, ...post }: RoomPostOf<"ingest">,
): Promise<IngestResult> {
  let place = from
  for (const item of items) {
    const piece = { ...post, from: place, to: item.seq, items: [item] }
    const result = await ingestPiece(ctx, piece).catch((error) => {
      if (!isDataRefused(error)) throw error
      ctx.log.error("room.item.refused", { session_id: post.sessionId, seq: item.seq, error })
      return ingestPiece(ctx, { ...piece, items: [] })
    })
    if (result.kind === "stale") return result
    place = item.seq
  }
  return ingestPiece(ctx, { ...post, from: place, to, items: [] })
}

function ingestPiece(ctx: SystemContext, post: RoomPostOf<"ingest">): Promise<IngestResult> {
  return ctx.db.$transaction(async (tx) => {
    const session = await lockSession(tx, post.sessionId)
    if (isStale(session, post)) {
      return { kind: "stale", ...(await staleAnswer(tx, session)) }
    }
    if (post.from > session.ingestedSeq || post.to <= session.ingestedSeq) {
      return { kind: "ingested", ingestedSeq: session.ingestedSeq }
    }
    await take(tx, ctx, session, post)
    return { kind: "ingested", ingestedSeq: post.to }
  })
}

/** A new epoch is a room with fresh storage; fenced rightly it goes on numbering where PostgreSQL stands. */
function isStale(session: Session, { generation, epoch, from }: RoomPostOf<"ingest">): boolean {
  const known = Number(session.epoch)
  if (generation < session.generation || epoch < known) return true
  return epoch > known && from !== session.ingestedSeq
}

async function take(
  tx: Transaction,
  ctx: SystemContext,
  session: Session,
  { epoch, to, items }: RoomPostOf<"ingest">,
): Promise<void> {
  const fresh = items.filter(({ seq }) => seq > session.ingestedSeq && seq <= to)
  await storeEntries(
    tx,
    session.id,
    fresh.flatMap((item) => ("entry" in item ? [item.entry] : [])),
  )
  const reports = fresh.filter(isReport)
  for (const report of reports) await applyReport(tx, ctx, session, report)
  const now = ctx.now()
  await tx.session.update({
    where: { id: session.id },
    data: { epoch, ingestedSeq: to, lastActivityAt: now },
  })
  if (reports.length === 0) return
  if (reports.some(({ report }) => FREES.has(report.type))) await goOn(tx, session, now)
  await refreshStatus(tx, session.id, now)
}

/** The room asks for the next prompt by itself; should it die before, a job reminds it. */
async function goOn(tx: Transaction, { id: sessionId }: Session, now: Date): Promise<void> {
  const queued = await tx.prompt.count({ where: { sessionId, state: "queued" } })
  if (queued === 0) return
  const runAt = new Date(now.getTime() + REMIND_AFTER_MS)
  await addJob(tx, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}`, runAt })
}

const isReport = (item: LogItem): item is Extract<LogItem, { report: unknown }> => "report" in item

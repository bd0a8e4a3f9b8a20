import * as z from "zod"
import { formatCursor } from "#protocol/cursor"
import type { Failure } from "#protocol/entry"
import { promptIdSchema, teamIdSchema } from "#protocol/ids"
import { type AttemptRef, attemptRefSchema, terminalStateSchema } from "#protocol/work"
import { LIVE_ATTEMPT } from "../domain/sandboxes/index.ts"
import { releaseClaim } from "../domain/sandboxes/release-claim.ts"
import { callRoom } from "./call-room.ts"
import type { JobContext } from "./context.ts"

const fenceAnswer = z.object({
  ended: z.object({ ...attemptRefSchema.shape, state: terminalStateSchema }).nullable(),
})

/** The room's reason for a stop of an attempt that it never had. */
export const UNKNOWN_ATTEMPT = "unknown-attempt"

/**
 * From now on the session's room hears `generation` only (D9). What ran on an older one ends there and arrives by
 * ingest; an older claim that never reached the room is released here. Answers why the room refuses, or null: it has
 * ended, or is further than PostgreSQL.
 */
export async function fenceRoom(
  ctx: JobContext,
  { sessionId, generation }: { sessionId: string; generation: number },
  reason: Failure,
): Promise<Failure | null> {
  const session = await ctx.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  const known = formatCursor({ epoch: Number(session.epoch), seq: session.ingestedSeq })
  const teamId = teamIdSchema.parse(session.teamId)
  const answer = await callRoom(ctx, sessionId, {
    call: "fence",
    generation,
    teamId,
    known: session.epoch === 0n ? "0" : known,
    reason,
  })
  const ended = answer.ok ? fenceAnswer.parse(answer.value).ended : null
  const open = await ctx.db.attempt.findMany({
    where: { sessionId, generation: { lt: generation }, state: { in: [...LIVE_ATTEMPT] } },
  })
  for (const { promptId, number } of open) {
    const attempt = { promptId: promptIdSchema.parse(promptId), attempt: number }
    if (ended?.promptId === promptId && ended.attempt === number) continue
    await releaseUnlessKnown(ctx, sessionId, attempt, reason)
  }
  return answer.ok ? null : answer.error
}

async function releaseUnlessKnown(
  ctx: JobContext,
  sessionId: string,
  attempt: AttemptRef,
  reason: Failure,
): Promise<void> {
  const answer = await callRoom(ctx, sessionId, { call: "stop", ...attempt })
  if (answer.ok || answer.error.reason !== UNKNOWN_ATTEMPT) return
  await releaseClaim(ctx, sessionId, attempt, reason)
}

import { SESSION_ENDED } from "../../domain/sandboxes/interruption.ts"
import { callRoom } from "../call-room.ts"
import type { JobHandler } from "../context.ts"
import { fenceRoom } from "../fence-room.ts"
import { within } from "../within.ts"

const FORGET_DEADLINE_MS = 60_000

/** Tells the room that the session is over; the directory goes when no sandbox needs it any more. */
export const endSession: JobHandler<"end-session"> = async (ctx, { sessionId }) => {
  const session = await ctx.db.session.findUnique({
    where: { id: sessionId },
    include: { _count: { select: { sandboxes: { where: { state: { not: "stopped" } } } } } },
  })
  if (!session?.endedAt) return
  // A room that no sandbox ever reached has no generation to post its log under.
  await fenceRoom(ctx, { sessionId, generation: session.generation }, SESSION_ENDED)
  const answer = await callRoom(ctx, sessionId, { call: "end", reason: SESSION_ENDED })
  if (!answer.ok) {
    ctx.log.warn("session.end.declined", { session_id: sessionId, reason: answer.error.reason })
  }
  if (session._count.sandboxes > 0) return
  await within(FORGET_DEADLINE_MS, "forget", ctx.provider.forget(sessionId))
}

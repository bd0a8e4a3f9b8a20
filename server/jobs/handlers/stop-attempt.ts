import { promptIdSchema } from "#protocol/ids"
import { readClaim } from "../../domain/dispatch/index.ts"
import { LIVE_ATTEMPT } from "../../domain/sandboxes/index.ts"
import { callRoom } from "../call-room.ts"
import type { JobHandler } from "../context.ts"
import { UNKNOWN_ATTEMPT } from "../fence-room.ts"

/** Has the room stop an attempt. One that it does not have yet is handed to it first, so that it ends there (D12). */
export const stopAttempt: JobHandler<"stop-attempt"> = async (ctx, { promptId, number }) => {
  const attempt = await ctx.db.attempt.findUnique({
    where: { promptId_number: { promptId, number }, state: { in: [...LIVE_ATTEMPT] } },
    include: { session: true },
  })
  if (!attempt || attempt.session.endedAt) return
  const { sessionId, session } = attempt
  const ref = { promptId: promptIdSchema.parse(promptId), attempt: number }
  const answer = await callRoom(ctx, sessionId, { call: "stop", ...ref })
  const unknown = !answer.ok && answer.error.reason === UNKNOWN_ATTEMPT
  // An older generation's claim is released by the fence that follows its sandbox's end.
  if (!unknown || attempt.generation !== session.generation) return
  await callRoom(ctx, sessionId, { call: "run", claim: await readClaim(ctx.db, ctx, attempt) })
  await callRoom(ctx, sessionId, { call: "stop", ...ref })
}

import { callBus, callRoom } from "../call-room.ts"
import type { JobHandler } from "../context.ts"

/** Closes the sockets of a person, or of one grant, in one room (A2). */
export const revoke: JobHandler<"revoke"> = async (
  ctx,
  { sessionId, teamId, subject, grantId },
) => {
  if (sessionId !== null) await callRoom(ctx, sessionId, { call: "revoke", subject, grantId })
  else if (subject !== null) await callBus(ctx, teamId, { call: "revoke", subject })
}

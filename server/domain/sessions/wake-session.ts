import { findSession, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { Conflict } from "../errors.ts"
import { requestSandbox } from "../sandboxes/index.ts"
import { changeSession } from "../status/index.ts"
import { getSession, type SessionRef } from "./get-session.ts"
import type { SessionShape } from "./session-shape.ts"

/** Asks for a sandbox when the session sleeps or has failed; nothing when one is live. */
export async function wakeSession(
  ctx: DomainContext,
  { sessionId }: SessionRef,
): Promise<SessionShape> {
  requireWrite(ctx)
  await findSession(ctx, sessionId)
  await changeSession(ctx, sessionId, async (tx, session) => {
    if (session.endedAt) {
      throw new Conflict("session-ended", "The session has ended. Create a new one to go on.")
    }
    await requestSandbox(tx, ctx, sessionId)
  })
  return getSession(ctx, { sessionId })
}

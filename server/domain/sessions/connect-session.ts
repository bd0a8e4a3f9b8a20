import { sessionAudience } from "#protocol/token"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { type Connection, issueTicket } from "../grants/index.ts"
import type { SessionRef } from "./get-session.ts"

/** A ticket for the session's room. Observers get one too: their role travels in it. */
export async function connectSession(
  ctx: DomainContext,
  { sessionId }: SessionRef,
): Promise<Connection> {
  await findSession(ctx, sessionId)
  const path = `/parties/session/${sessionId}`
  return issueTicket(ctx, { sessionId, audience: sessionAudience(sessionId), path })
}

import type { Session } from "../../../prisma/generated/client.ts"
import type { DomainContext } from "../context.ts"
import { NotFound } from "../errors.ts"

/** The session, if it belongs to the actor's team. */
export async function findSession(ctx: DomainContext, sessionId: string): Promise<Session> {
  const session = await ctx.db.session.findUnique({
    where: { id: sessionId, teamId: ctx.actor.teamId },
  })
  if (!session) throw new NotFound("session", sessionId)
  return session
}

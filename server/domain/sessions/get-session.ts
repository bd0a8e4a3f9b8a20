import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import type { DomainContext } from "../context.ts"
import { NotFound } from "../errors.ts"
import { type SessionShape, toSession, withCreator } from "./session-shape.ts"

export const sessionRefInput = z.strictObject({ sessionId: sessionIdSchema })
export type SessionRef = { sessionId: string }

/** One session of the actor's team. */
export async function getSession(
  ctx: DomainContext,
  { sessionId }: SessionRef,
): Promise<SessionShape> {
  const session = await ctx.db.session.findUnique({
    where: { id: sessionId, teamId: ctx.actor.teamId },
    include: withCreator,
  })
  if (!session) throw new NotFound("session", sessionId)
  return toSession(session)
}

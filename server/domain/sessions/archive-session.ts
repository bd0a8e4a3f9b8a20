import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import { findSession, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import type { SessionRef } from "./get-session.ts"
import { type SessionShape, toSession, withCreator } from "./session-shape.ts"

export const archiveSessionInput = z.strictObject({
  sessionId: sessionIdSchema,
  /** False brings it back into the list. */
  archived: z.boolean().default(true),
})

/** Takes the session out of the list, or back in; what runs goes on. */
export async function archiveSession(
  ctx: DomainContext,
  { sessionId, archived }: SessionRef & { archived: boolean },
): Promise<SessionShape> {
  requireWrite(ctx)
  await findSession(ctx, sessionId)
  await ctx.db.session.updateMany({
    where: { id: sessionId, archivedAt: archived ? null : { not: null } },
    data: { archivedAt: archived ? ctx.now() : null },
  })
  const stored = await ctx.db.session.findUniqueOrThrow({
    where: { id: sessionId },
    include: withCreator,
  })
  return toSession(stored)
}

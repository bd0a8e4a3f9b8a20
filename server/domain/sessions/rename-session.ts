import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import { findSession, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { Invalid } from "../errors.ts"
import type { SessionRef } from "./get-session.ts"
import { type SessionShape, toSession, withCreator } from "./session-shape.ts"
import { sessionTitle } from "./session-title.ts"

export const renameSessionInput = z.strictObject({
  sessionId: sessionIdSchema,
  title: z.string().max(1_000),
})

export async function renameSession(
  ctx: DomainContext,
  { sessionId, title: wished }: SessionRef & { title: string },
): Promise<SessionShape> {
  requireWrite(ctx)
  await findSession(ctx, sessionId)
  const title = sessionTitle(wished)
  if (title === "") {
    throw new Invalid(
      "title-empty",
      "The title shows nothing: it is empty or all of it is invisible. Send one with a visible character.",
    )
  }
  const renamed = await ctx.db.session.update({
    where: { id: sessionId },
    data: { title },
    include: withCreator,
  })
  return toSession(renamed)
}

import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { afterCursor, NEWEST_FIRST, pageInput, toPage } from "../paging.ts"
import { type PromptShape, toPrompt, withAuthor } from "./prompt-shape.ts"

export const listPromptsInput = z.strictObject({ ...pageInput, sessionId: sessionIdSchema })

/** The session's prompts, newest first. */
export async function listPrompts(
  ctx: DomainContext,
  { sessionId, cursor, limit }: { sessionId: string; cursor?: string; limit: number },
): Promise<{ items: PromptShape[]; nextCursor: string | null }> {
  await findSession(ctx, sessionId)
  const rows = await ctx.db.prompt.findMany({
    where: { sessionId, AND: afterCursor(cursor) },
    orderBy: [...NEWEST_FIRST],
    take: limit + 1,
    include: withAuthor,
  })
  return toPage(rows, limit, toPrompt)
}

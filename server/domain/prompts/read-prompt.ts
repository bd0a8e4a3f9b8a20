import * as z from "zod"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { DomainContext } from "../context.ts"
import { type PromptShape, toPrompt, withAuthor } from "./prompt-shape.ts"

export const promptRefInput = z.strictObject({
  promptId: promptIdSchema,
  /** The id alone is enough; a session that is given has to be the prompt's own. */
  sessionId: sessionIdSchema.optional(),
})
export type PromptRef = { promptId: string; sessionId?: string }

/** The prompt as it is now; the caller has found it for its actor before. */
export async function readPrompt(
  { db }: Pick<DomainContext, "db">,
  promptId: string,
): Promise<PromptShape> {
  const row = await db.prompt.findUniqueOrThrow({ where: { id: promptId }, include: withAuthor })
  return toPrompt(row)
}

import * as z from "zod"
import { promptIdSchema } from "#protocol/ids"
import type { DomainContext } from "../context.ts"
import { type PromptShape, toPrompt, withAuthor } from "./prompt-shape.ts"

export const promptRefInput = z.strictObject({ promptId: promptIdSchema })
export type PromptRef = { promptId: string }

/** The prompt as it is now; the caller has found it for its actor before. */
export async function readPrompt(
  { db }: Pick<DomainContext, "db">,
  promptId: string,
): Promise<PromptShape> {
  const row = await db.prompt.findUniqueOrThrow({ where: { id: promptId }, include: withAuthor })
  return toPrompt(row)
}

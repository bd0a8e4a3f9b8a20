import * as z from "zod"
import { promptIdSchema } from "#protocol/ids"
import type { DomainContext } from "../context.ts"
import { promptText } from "../dispatch/index.ts"
import { changeQueued } from "./change-queued.ts"
import type { PromptShape } from "./prompt-shape.ts"
import type { PromptRef } from "./read-prompt.ts"

export const editPromptInput = z.strictObject({ promptId: promptIdSchema, text: z.string() })

/** Replaces the text of a queued prompt. */
export async function editPrompt(
  ctx: DomainContext,
  { promptId, text: raw }: PromptRef & { text: string },
): Promise<PromptShape> {
  const text = promptText(raw)
  return changeQueued(ctx, promptId, async () => ({ text }))
}

import * as z from "zod"
import type { DomainContext } from "../context.ts"
import { promptText } from "../dispatch/index.ts"
import { changeQueued } from "./change-queued.ts"
import type { PromptShape } from "./prompt-shape.ts"
import { type PromptRef, promptRefInput } from "./read-prompt.ts"

export const editPromptInput = z.strictObject({ ...promptRefInput.shape, text: z.string() })

/** Replaces the text of a queued prompt. */
export async function editPrompt(
  ctx: DomainContext,
  { text: raw, ...ref }: PromptRef & { text: string },
): Promise<PromptShape> {
  const text = promptText(raw)
  return changeQueued(ctx, ref, async () => ({ text }))
}

import type { DomainContext } from "../context.ts"
import { changeQueued } from "./change-queued.ts"
import type { PromptShape } from "./prompt-shape.ts"
import type { PromptRef } from "./read-prompt.ts"

/** Takes a prompt out of the queue for good. A repeat changes nothing. */
export function withdrawPrompt(ctx: DomainContext, ref: PromptRef): Promise<PromptShape> {
  return changeQueued(ctx, ref, async (_tx, prompt) =>
    prompt.state === "withdrawn" ? null : { state: "withdrawn", endedAt: ctx.now() },
  )
}

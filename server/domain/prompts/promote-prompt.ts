import type { DomainContext } from "../context.ts"
import { headPosition } from "../dispatch/index.ts"
import { changeQueued } from "./change-queued.ts"
import type { PromptShape } from "./prompt-shape.ts"
import type { PromptRef } from "./read-prompt.ts"

/** Moves a queued prompt to the head of its queue. */
export function promotePrompt(ctx: DomainContext, ref: PromptRef): Promise<PromptShape> {
  return changeQueued(ctx, ref, async (tx, { sessionId }) => ({
    position: await headPosition(tx, sessionId),
  }))
}

import type { Prompt } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { findPrompt, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { Conflict } from "../errors.ts"
import { changeSession } from "../status/index.ts"
import type { PromptShape } from "./prompt-shape.ts"
import { type PromptRef, readPrompt } from "./read-prompt.ts"

type QueuedFields = Partial<Pick<Prompt, "text" | "position" | "state" | "endedAt">>

/**
 * Changes a prompt that is still queued (D11); a claimed one answers CONFLICT `already-dispatched`. `fields` says what
 * to write, or null for nothing.
 */
export async function changeQueued(
  ctx: DomainContext,
  ref: PromptRef,
  fields: (tx: Transaction, prompt: Prompt) => Promise<QueuedFields | null>,
): Promise<PromptShape> {
  requireWrite(ctx)
  const { id: promptId, sessionId } = await findPrompt(ctx, ref)
  await changeSession(ctx, sessionId, async (tx) => {
    const prompt = await tx.prompt.findUniqueOrThrow({ where: { id: promptId } })
    const data = await fields(tx, prompt)
    if (!data) return
    const { count } = await tx.prompt.updateMany({ where: { id: promptId, state: "queued" }, data })
    if (count === 0) throw notQueued(prompt)
  })
  return readPrompt(ctx, promptId)
}

function notQueued({ state }: Prompt): Conflict {
  return state === "withdrawn"
    ? new Conflict("prompt-withdrawn", "This prompt was withdrawn. Send it again as a new one.")
    : new Conflict(
        "already-dispatched",
        "This prompt has left the queue. Stop it, or send another one after it.",
      )
}

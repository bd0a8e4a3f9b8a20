import type { PromptState } from "#protocol/entry"
import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import { SQL_NULL, type Transaction } from "../../db.ts"
import { findPrompt, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { dispatchQueue, headPosition, tellRoom } from "../dispatch/index.ts"
import { Conflict } from "../errors.ts"
import { changeSession } from "../status/index.ts"
import type { PromptShape } from "./prompt-shape.ts"
import { type PromptRef, readPrompt } from "./read-prompt.ts"

const WAITS_OR_RUNS: ReadonlySet<PromptState> = new Set(["queued", "dispatched", "running"])
const RETRYABLE: ReadonlySet<PromptState> = new Set(["failed", "stopped", "interrupted"])

/**
 * Puts a prompt that failed, was stopped or interrupted back at the head of the queue, for a new attempt (D13). One
 * that waits or runs already stays as it is.
 */
export async function retryPrompt(ctx: DomainContext, ref: PromptRef): Promise<PromptShape> {
  requireWrite(ctx)
  const { id: promptId, sessionId } = await findPrompt(ctx, ref)
  const claim = await changeSession(ctx, sessionId, (tx, session) =>
    requeue(tx, ctx, session, promptId),
  )
  await tellRoom(ctx, sessionId, claim)
  return readPrompt(ctx, promptId)
}

async function requeue(
  tx: Transaction,
  ctx: DomainContext,
  session: Session,
  promptId: string,
): Promise<Claim | null> {
  const { state } = await tx.prompt.findUniqueOrThrow({ where: { id: promptId } })
  if (WAITS_OR_RUNS.has(state)) return null
  if (!RETRYABLE.has(state)) {
    throw new Conflict(
      "prompt-not-retryable",
      `This prompt ${state === "succeeded" ? "has succeeded" : "was withdrawn"}. Send it again as a new one.`,
    )
  }
  if (session.endedAt) {
    throw new Conflict("session-ended", "The session has ended. Create a new one to go on.")
  }
  const position = await headPosition(tx, session.id)
  await tx.prompt.update({
    where: { id: promptId },
    data: { state: "queued", position, error: SQL_NULL, startedAt: null, endedAt: null },
  })
  await tx.session.update({ where: { id: session.id }, data: { lastActivityAt: ctx.now() } })
  return dispatchQueue(tx, ctx, session)
}

import { promptIdSchema } from "#protocol/ids"
import type { AttemptRef } from "#protocol/work"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import { findPrompt, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { Conflict } from "../errors.ts"
import { LIVE_ATTEMPT } from "../sandboxes/index.ts"
import { changeSession } from "../status/index.ts"
import type { PromptShape } from "./prompt-shape.ts"
import { type PromptRef, readPrompt } from "./read-prompt.ts"

/** Time that the direct call to the room has before the stop-attempt job does it instead. */
const DIRECT_CALL_MS = 2_000

/**
 * Asks the room to stop the prompt's running attempt (D12). After a terminal state it does nothing; a prompt still in
 * the queue is to be withdrawn instead, and one that steers ends with its host.
 */
export async function stopPrompt(ctx: DomainContext, ref: PromptRef): Promise<PromptShape> {
  requireWrite(ctx)
  const { id: promptId, sessionId } = await findPrompt(ctx, ref)
  const attempt = await changeSession(ctx, sessionId, (tx) => requestStop(tx, ctx, promptId))
  if (attempt) {
    const answer = await ctx.rooms.call(
      sessionId,
      { call: "stop", ...attempt },
      { withinMs: DIRECT_CALL_MS },
    )
    if (!answer.ok) {
      ctx.log.warn("room.stop.deferred", { session_id: sessionId, reason: answer.error.reason })
    }
  }
  return readPrompt(ctx, promptId)
}

async function requestStop(
  tx: Transaction,
  ctx: DomainContext,
  promptId: string,
): Promise<AttemptRef | null> {
  const prompt = await tx.prompt.findUniqueOrThrow({ where: { id: promptId } })
  if (prompt.state === "queued") {
    throw new Conflict(
      "not-dispatched",
      "This prompt still waits in the queue. Withdraw it instead.",
    )
  }
  const [attempt] = await tx.attempt.findMany({
    where: { promptId, state: { in: [...LIVE_ATTEMPT] } },
    take: 1,
  })
  if (!attempt) return null
  const { number, hostPromptId } = attempt
  if (hostPromptId !== null) {
    throw new Conflict(
      "prompt-is-steer",
      `This prompt joined another one and has no turn of its own. Stop prompt ${hostPromptId} instead.`,
    )
  }
  await tx.attempt.updateMany({
    where: { promptId, number, stopRequestedAt: null },
    data: { stopRequestedAt: ctx.now() },
  })
  await addJob(tx, "stop-attempt", { promptId, number }, { jobKey: `stop:${promptId}:${number}` })
  return { promptId: promptIdSchema.parse(promptId), attempt: number }
}

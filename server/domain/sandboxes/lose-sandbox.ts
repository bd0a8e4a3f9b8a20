import type { Failure } from "#protocol/entry"
import { failureSchema } from "#protocol/entry"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { giveUpSandbox } from "./give-up-sandbox.ts"
import { requestSandbox } from "./request-sandbox.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** The machine no longer exists. */
export const SANDBOX_LOST = "sandbox-lost"
/** The machine exists, its runner has not been heard for too long. */
export const RUNNER_SILENT = "runner-silent"

/** So many sandboxes of a session may be lost one after the other, useless, before a person has to wake it. */
const MAX_LOSSES_IN_A_ROW = 3

/**
 * Gives up a sandbox that was lost, or stopped with the platform. While prompts wait the session gets the next one,
 * unless it keeps losing them; what ran on the lost one ends as interrupted when the room is fenced.
 */
export async function loseSandbox(
  ctx: SystemContext,
  ref: SandboxRef,
  error: Failure,
): Promise<void> {
  const next = await changeSession(ctx, ref.sessionId, async (tx, session) => {
    if (!(await giveUpSandbox(tx, ref, error))) return undefined
    const queued = await tx.prompt.count({ where: { sessionId: session.id, state: "queued" } })
    const losses = await lossesInARow(tx, session.id)
    const again = queued > 0 && session.endedAt === null && losses < MAX_LOSSES_IN_A_ROW
    return again ? requestSandbox(tx, ctx, session.id) : null
  })
  if (next === undefined) return
  ctx.log.warn("sandbox.lost", {
    session_id: ref.sessionId,
    generation: ref.generation,
    reason: error.reason,
    next_generation: next,
  })
}

/** Losses since a sandbox last carried a prompt out: what works now and then is no reason to give up. */
async function lossesInARow(tx: Transaction, sessionId: string): Promise<number> {
  const newest = await tx.sandbox.findMany({
    where: { sessionId },
    orderBy: { generation: "desc" },
    take: MAX_LOSSES_IN_A_ROW,
    select: { generation: true, error: true },
  })
  let losses = 0
  for (const { generation, error } of newest) {
    if (!isLoss(failureSchema.nullable().parse(error))) break
    losses++
    const worked = { sessionId, generation, state: "succeeded" } as const
    if ((await tx.attempt.count({ where: worked })) > 0) break
  }
  return losses
}

function isLoss(error: Failure | null): boolean {
  return error?.reason === SANDBOX_LOST || error?.reason === RUNNER_SILENT
}

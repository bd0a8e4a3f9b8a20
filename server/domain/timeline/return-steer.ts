import type { Failure } from "#protocol/entry"
import type { ReportOf } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import { SQL_NULL, type Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { headPosition } from "../dispatch/index.ts"
import { LIVE_ATTEMPT } from "../sandboxes/index.ts"

const HOST_OVER: Failure = {
  reason: "steer-returned",
  message: "The turn that this prompt was to join ended first, so it went back to the queue.",
}

/** Ends a steer that the agent has not read; its prompt waits again, at the head of the queue (D14). */
export async function returnSteer(
  tx: Transaction,
  ctx: SystemContext,
  session: Session,
  { promptId, attempt }: ReportOf<"attempt.returned">,
): Promise<void> {
  const now = ctx.now()
  const live = { in: [...LIVE_ATTEMPT] }
  const { count } = await tx.attempt.updateMany({
    where: { promptId, number: attempt, steer: true, state: live },
    data: { state: "interrupted", error: HOST_OVER, endedAt: now },
  })
  if (count === 0) return ctx.log.warn("steer.return.ignored", { prompt_id: promptId, attempt })
  const { createdAt } = await tx.prompt.findUniqueOrThrow({ where: { id: promptId } })
  const position = await headPosition(tx, session.id, createdAt)
  await tx.prompt.updateMany({
    where: { id: promptId, attempt, state: live },
    data: session.endedAt
      ? { state: "withdrawn", endedAt: now }
      : { state: "queued", position, startedAt: null, endedAt: null, error: SQL_NULL },
  })
}

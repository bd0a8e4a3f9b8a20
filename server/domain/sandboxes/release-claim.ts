import type { Failure } from "#protocol/entry"
import type { AttemptRef } from "#protocol/work"
import { SQL_NULL } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { LIVE_ATTEMPT } from "./live.ts"

/**
 * Ends an attempt that was claimed but that no room has or can ever take, because the room is fenced beyond it: no
 * runner has seen the prompt. It goes back to where it stood in the queue, or ends when that was asked for.
 */
export async function releaseClaim(
  ctx: SystemContext,
  sessionId: string,
  { promptId, attempt: number }: AttemptRef,
  error: Failure,
): Promise<void> {
  await changeSession(ctx, sessionId, async (tx, session) => {
    const attempt = await tx.attempt.findUnique({
      where: { promptId_number: { promptId, number }, state: { in: [...LIVE_ATTEMPT] } },
    })
    if (!attempt) return
    const stopped = attempt.stopRequestedAt !== null
    const state = stopped ? "stopped" : "interrupted"
    const endedAt = ctx.now()
    const end = { state, endedAt, error: stopped ? SQL_NULL : error } as const
    await tx.attempt.update({ where: { promptId_number: { promptId, number } }, data: end })
    const requeue = { state: "queued", startedAt: null, endedAt: null, error: SQL_NULL } as const
    await tx.prompt.updateMany({
      where: { id: promptId, attempt: number, state: { in: [...LIVE_ATTEMPT] } },
      data: stopped || session.endedAt ? end : requeue,
    })
    await addJob(tx, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}` })
  })
}

import { type Failure, failureSchema } from "#protocol/entry"
import type { AttemptRef } from "#protocol/work"
import { SQL_NULL, type Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { LIVE_ATTEMPT } from "./live.ts"

/** So many claims of a prompt may be released one after the other before a person has to retry it (D13). */
const MAX_RELEASES_IN_A_ROW = 3

const UNDELIVERED: Failure = {
  reason: "prompt-undelivered",
  message: `${MAX_RELEASES_IN_A_ROW} sandboxes in a row were lost before the prompt reached them, so it is not tried again by itself. Retry it if it is still wanted.`,
}

/**
 * Ends an attempt that was claimed but that no room has or can ever take, because the room is fenced beyond it: no
 * runner has seen the prompt. It goes back to where it stood in the queue, or ends when that was asked for or when it has come back
 * too often.
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
    const isLast = !stopped && (await releasesInARow(tx, promptId)) + 1 >= MAX_RELEASES_IN_A_ROW
    const state = stopped ? "stopped" : "interrupted"
    const endedAt = ctx.now()
    const reason = isLast ? UNDELIVERED : error
    const end = { state, endedAt, error: stopped ? SQL_NULL : reason } as const
    await tx.attempt.update({ where: { promptId_number: { promptId, number } }, data: end })
    const requeue = { state: "queued", startedAt: null, endedAt: null, error: SQL_NULL } as const
    await tx.prompt.updateMany({
      where: { id: promptId, attempt: number, state: { in: [...LIVE_ATTEMPT] } },
      data: stopped || isLast || session.endedAt ? end : requeue,
    })
    await addJob(tx, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}` })
  })
}

/** Attempts that ended before any runner accepted them, since the last one that was accepted or given up for good. */
async function releasesInARow(tx: Transaction, promptId: string): Promise<number> {
  const newest = await tx.attempt.findMany({
    where: { promptId, steer: false, endedAt: { not: null } },
    orderBy: { number: "desc" },
    take: MAX_RELEASES_IN_A_ROW - 1,
    select: { state: true, acceptedAt: true, error: true },
  })
  const other = newest.findIndex(
    ({ state, acceptedAt, error }) =>
      state !== "interrupted" ||
      acceptedAt !== null ||
      failureSchema.nullable().parse(error)?.reason === UNDELIVERED.reason,
  )
  return other === -1 ? newest.length : other
}

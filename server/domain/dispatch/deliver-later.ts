import type { Claim } from "#protocol/work"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"

/** Time that the direct call to the room has before the deliver job does it instead. */
export const DIRECT_CALL_MS = 2_000

/** Leaves the job that reaches the room in any case; one that is called directly is given the time for it. */
export async function addDeliver(
  tx: Transaction,
  { now }: Pick<SystemContext, "now">,
  sessionId: string,
  claim: Claim | null,
): Promise<void> {
  const runAt = claim ? new Date(now().getTime() + DIRECT_CALL_MS) : undefined
  await addJob(tx, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}`, runAt })
}

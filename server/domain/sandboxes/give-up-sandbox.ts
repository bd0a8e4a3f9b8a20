import type { Failure } from "#protocol/entry"
import { SQL_NULL, type Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import { LIVE_SANDBOX } from "./live.ts"

/**
 * Moves a live sandbox to `stopping` and has its machine terminated; `error` null means it was meant to stop. Runs
 * inside `changeSession`. Answers whether it was live.
 */
export async function giveUpSandbox(
  tx: Transaction,
  { sessionId, generation }: { sessionId: string; generation: number },
  error: Failure | null,
): Promise<boolean> {
  const { count } = await tx.sandbox.updateMany({
    where: { sessionId, generation, state: { in: [...LIVE_SANDBOX] } },
    data: { state: "stopping", error: error ?? SQL_NULL },
  })
  if (count === 0) return false
  const jobKey = `stop-sandbox:${sessionId}:${generation}`
  await addJob(tx, "stop-sandbox", { sessionId, generation }, { jobKey })
  return true
}

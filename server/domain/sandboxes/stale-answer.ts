import type { StaleAnswer } from "#protocol/call"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { interruptionBefore } from "./interruption.ts"

/** What a room is told whose generation or storage is no longer the session's. */
export async function staleAnswer(
  tx: Transaction,
  { id: sessionId, generation, epoch }: Session,
): Promise<StaleAnswer> {
  const reason = await interruptionBefore(tx, { sessionId, generation })
  return { generation, epoch: Number(epoch), reason }
}

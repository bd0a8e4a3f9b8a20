import { type Failure, failureSchema } from "#protocol/entry"
import type { Transaction } from "../../db.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** What a prompt is told whose sandbox went while it ran; the failure is what is known of the sandbox. */
export function interruption({ reason, message }: Failure): Failure {
  return { reason, message: `${message} What came is kept, retry or go on.` }
}

export const SESSION_ENDED: Failure = {
  reason: "session-ended",
  message:
    "The session was ended before the prompt was done. What came is kept; start a new session to go on.",
}

/** What a prompt of the sandbox before `generation` is told, null when that one did not fail. */
export async function interruptionBefore(
  db: Pick<Transaction, "sandbox">,
  { sessionId, generation }: SandboxRef,
): Promise<Failure | null> {
  const before = await db.sandbox.findFirst({
    where: { sessionId, generation: { lt: generation } },
    orderBy: { generation: "desc" },
    select: { error: true },
  })
  const error = failureSchema.nullable().parse(before?.error ?? null)
  return error && interruption(error)
}

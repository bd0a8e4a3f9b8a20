import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_ATTEMPT } from "../sandboxes/index.ts"
import { claimPrompt } from "./claim-next.ts"
import { addDeliver } from "./deliver-later.ts"

/**
 * Claims a queued prompt for the turn of the attempt that runs now (D14). Null when there is none that it could join:
 * the prompt waits at the head of the queue. Runs inside `changeSession`.
 */
export async function claimSteer(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  { id: sessionId, generation }: Session,
  promptId: string,
): Promise<Claim | null> {
  const host = await tx.attempt.findFirst({
    where: {
      sessionId,
      generation,
      steer: false,
      state: { in: [...LIVE_ATTEMPT] },
      // Before that the room may not know it, and could not tell it from one that is over.
      acceptedAt: { not: null },
      stopRequestedAt: null,
    },
  })
  const ready = await tx.sandbox.count({ where: { sessionId, generation, state: "ready" } })
  if (!host || ready === 0) return null
  const claim = await claimPrompt(tx, ctx, { promptId, generation, host })
  if (claim) await addDeliver(tx, ctx, sessionId, claim)
  return claim
}

import type { RoomPostOf, StaleAnswer } from "#protocol/call"
import type { Claim } from "#protocol/work"
import type { SystemContext } from "../context.ts"
import { staleAnswer } from "../sandboxes/index.ts"
import { changeSession } from "../status/index.ts"
import { claimNext } from "./claim-next.ts"

export type ClaimResult = { kind: "claim"; claim: Claim | null } | ({ kind: "stale" } & StaleAnswer)

/**
 * Answers a room's `claim-next`: the standing claim, a new one, or none. A room may be fenced ahead of PostgreSQL,
 * when its sandbox was given up; it gets none until the next sandbox is asked for.
 */
export function claimForRoom(
  ctx: SystemContext,
  { sessionId, generation }: RoomPostOf<"claim-next">,
): Promise<ClaimResult> {
  return changeSession(ctx, sessionId, async (tx, session) => {
    if (generation < session.generation) {
      return { kind: "stale", ...(await staleAnswer(tx, session)) }
    }
    const ahead = generation > session.generation
    return { kind: "claim", claim: ahead ? null : await claimNext(tx, ctx, session) }
  })
}

import type { RoomPostOf } from "#protocol/call"
import type { Claim } from "#protocol/work"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { claimNext } from "./claim-next.ts"

export type ClaimResult =
  | { kind: "claim"; claim: Claim | null }
  | { kind: "stale"; generation: number; epoch: number }

/** Answers a room's `claim-next`: the standing claim, a new one, or none. */
export function claimForRoom(
  ctx: SystemContext,
  { sessionId, generation }: RoomPostOf<"claim-next">,
): Promise<ClaimResult> {
  return changeSession(ctx, sessionId, async (tx, session) =>
    generation === session.generation
      ? { kind: "claim", claim: await claimNext(tx, ctx, session) }
      : { kind: "stale", generation: session.generation, epoch: Number(session.epoch) },
  )
}

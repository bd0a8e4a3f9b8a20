import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { requestSandbox } from "../sandboxes/index.ts"
import { claimNext } from "./claim-next.ts"
import { addDeliver, DIRECT_CALL_MS } from "./deliver-later.ts"
import { readDispatchFacts } from "./dispatch-facts.ts"

/**
 * Sees to it that a newly queued prompt of the session runs: wakes the session when it has no sandbox, claims at once
 * when it is idle and its runner connected, and leaves a job that reaches the room in any case. A busy room asks by
 * itself when its attempt has ended. Runs inside `changeSession`; hand the claim to {@link tellRoom} after the commit.
 */
export async function dispatchQueue(
  tx: Transaction,
  ctx: SystemContext,
  session: Session,
): Promise<Claim | null> {
  const facts = await readDispatchFacts(tx, session)
  if (!facts.awake) {
    await requestSandbox(tx, ctx, session.id)
    return null
  }
  if (!facts.ready || facts.live?.steer === false) return null
  const claim = facts.connected ? await claimNext(tx, ctx, session, facts) : null
  await addDeliver(tx, ctx, session.id, claim)
  return claim
}

/** Hands a committed claim to the room. When that fails, the deliver job does it. */
export async function tellRoom(
  ctx: SystemContext,
  sessionId: string,
  claim: Claim | null,
): Promise<void> {
  if (!claim) return
  const answer = await ctx.rooms.call(
    sessionId,
    { call: "run", claim },
    { withinMs: DIRECT_CALL_MS },
  )
  if (answer.ok) return
  ctx.log.warn("room.run.deferred", { session_id: sessionId, reason: answer.error.reason })
}

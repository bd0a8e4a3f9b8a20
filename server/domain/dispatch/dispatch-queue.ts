import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_ATTEMPT, requestSandbox } from "../sandboxes/index.ts"
import { claimNext } from "./claim-next.ts"

/** Time that the direct call to the room has before the deliver job does it instead. */
const DIRECT_CALL_MS = 2_000

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
  if ((await requestSandbox(tx, ctx, session.id)) !== null) return null
  const sandbox = await tx.sandbox.findUnique({
    where: { sessionId_generation: { sessionId: session.id, generation: session.generation } },
  })
  if (sandbox?.state !== "ready") return null
  const busy = await tx.attempt.count({
    where: { sessionId: session.id, steer: false, state: { in: [...LIVE_ATTEMPT] } },
  })
  if (busy > 0) return null
  const claim = sandbox.link === "connected" ? await claimNext(tx, ctx, session) : null
  await addJob(
    tx,
    "deliver",
    { sessionId: session.id },
    {
      jobKey: `deliver:${session.id}`,
      runAt: claim ? new Date(ctx.now().getTime() + DIRECT_CALL_MS) : undefined,
    },
  )
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

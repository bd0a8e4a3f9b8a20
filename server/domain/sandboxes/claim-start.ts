import type { Sandbox, Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { readPhases, withPhase } from "./phases.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

export type StartClaim =
  /** This sandbox holds a place and is to be made, perhaps for the second time. */
  | { kind: "start"; session: Session }
  /** Others that asked earlier are being started. */
  | { kind: "wait" }
  /** It is ready, given up, or an older generation by now. */
  | { kind: "pointless" }

/** Serialises the counting of places; any number will do that no one else uses. */
const PLACES_LOCK = 7_203_114

/** Takes one of `places` for starting the sandbox, first come first served, and sets its deadline. */
export function claimStart(
  ctx: SystemContext,
  ref: SandboxRef,
  places: number,
): Promise<StartClaim> {
  return changeSession(ctx, ref.sessionId, async (tx, session) => {
    const sandbox = await tx.sandbox.findUnique({ where: { sessionId_generation: ref } })
    if (session.endedAt || sandbox?.generation !== session.generation) return { kind: "pointless" }
    if (sandbox.state === "starting") return { kind: "start", session }
    if (sandbox.state !== "requested") return { kind: "pointless" }
    if (!(await isPlaceFree(tx, sandbox, places))) return { kind: "wait" }

    const now = ctx.now()
    const begun = {
      phase: "machine",
      state: "running",
      durationMs: 0,
      detail: "",
      error: null,
    } as const
    await tx.sandbox.update({
      where: { sessionId_generation: ref },
      data: {
        state: "starting",
        startedAt: now,
        phases: withPhase(readPhases(sandbox.phases), begun, now),
      },
    })
    const runAt = new Date(now.getTime() + ctx.settings.sandboxReadyMs)
    const jobKey = `sandbox-deadline:${ref.sessionId}:${ref.generation}`
    await addJob(tx, "sandbox-deadline", ref, { jobKey, runAt })
    return { kind: "start", session }
  })
}

async function isPlaceFree(
  tx: Transaction,
  { createdAt, sessionId }: Sandbox,
  places: number,
): Promise<boolean> {
  await tx.$executeRaw`select pg_advisory_xact_lock(${PLACES_LOCK}::bigint)`
  const starting = await tx.sandbox.count({ where: { state: "starting" } })
  const earlier = await tx.sandbox.count({
    where: {
      state: "requested",
      OR: [{ createdAt: { lt: createdAt } }, { createdAt, sessionId: { lt: sessionId } }],
    },
  })
  return starting + earlier < places
}

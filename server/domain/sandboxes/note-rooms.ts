import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { readPhases } from "./phases.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** What a session says while its sandbox cannot be started because the rooms are away. */
export const ROOMS_AWAY =
  "Waits for the rooms, which do not answer; an operator checks that they run."

/** Notes on a sandbox that is being started whether the rooms answer, so that its session can say so. */
export async function noteRooms(
  ctx: SystemContext,
  ref: SandboxRef,
  { areAway }: { areAway: boolean },
): Promise<void> {
  const detail = areAway ? ROOMS_AWAY : ""
  const isStarting = { sessionId_generation: ref, state: "starting" as const }
  const known = await ctx.db.sandbox.findUnique({ where: isStarting })
  if (!known || detailOf(known.phases) === detail) return
  await changeSession(ctx, ref.sessionId, async (tx) => {
    const sandbox = await tx.sandbox.findUnique({ where: isStarting })
    if (!sandbox) return
    const phases = readPhases(sandbox.phases).map((each) =>
      each.phase === "machine" ? { ...each, detail } : each,
    )
    await tx.sandbox.update({ where: { sessionId_generation: ref }, data: { phases } })
  })
}

const detailOf = (phases: unknown) =>
  readPhases(phases).find(({ phase }) => phase === "machine")?.detail

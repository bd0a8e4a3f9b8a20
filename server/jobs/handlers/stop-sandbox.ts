import { failureSchema } from "#protocol/entry"
import type { Sandbox } from "../../../prisma/generated/client.ts"
import { LIVE_ATTEMPT, LIVE_SANDBOX } from "../../domain/sandboxes/index.ts"
import { interruption, SESSION_ENDED } from "../../domain/sandboxes/interruption.ts"
import { markStopped } from "../../domain/sandboxes/mark-stopped.ts"
import { readPhases } from "../../domain/sandboxes/phases.ts"
import { sandboxId } from "../../sandbox/provider.ts"
import { RoomUnreachable } from "../call-room.ts"
import type { JobContext, JobHandler } from "../context.ts"
import { fenceRoom } from "../fence-room.ts"
import { within } from "../within.ts"

const TERMINATE_DEADLINE_MS = 60_000

/** Ends what runs on a sandbox that was given up, then its machine. */
export const stopSandbox: JobHandler<"stop-sandbox"> = async (ctx, ref) => {
  const { sessionId, generation } = ref
  const sandbox = await ctx.db.sandbox.findUnique({
    where: { sessionId_generation: ref },
    include: { session: { select: { endedAt: true, generation: true } } },
  })
  if (!sandbox || isLive(sandbox)) return
  const newest = sandbox.session.generation
  const fenced = await fenceOff(ctx, sandbox, Math.max(newest, generation + 1))
  const id = sandboxId(sessionId, generation)
  await within(TERMINATE_DEADLINE_MS, "terminate", ctx.provider.terminate(id))
  await markStopped(ctx, ref)
  if (sandbox.session.endedAt) await ctx.provider.forget(sessionId)
  if (fenced instanceof RoomUnreachable) throw fenced
}

const isLive = ({ state }: Sandbox) => LIVE_SANDBOX.some((live) => live === state)

const STOPPED = { reason: "sandbox-stopped", message: "The sandbox was stopped." }

type Given = Sandbox & { session: { endedAt: Date | null } }

/**
 * Ends what runs on the sandbox. A room that the sandbox's own fence may not have reached is fenced too: without a
 * generation it could not post its log, and why the session failed would stay in the room alone. A room that cannot be
 * reached must not keep the machine running; its error is handed back for later.
 */
async function fenceOff(
  ctx: JobContext,
  sandbox: Given,
  fence: number,
): Promise<RoomUnreachable | null> {
  const { sessionId, generation } = sandbox
  const live = await ctx.db.attempt.count({
    where: { sessionId, generation: { lte: generation }, state: { in: [...LIVE_ATTEMPT] } },
  })
  if (live === 0 && machineWasMade(sandbox)) return null
  const known = failureSchema.nullable().parse(sandbox.error) ?? STOPPED
  const reason = sandbox.session.endedAt ? SESSION_ENDED : interruption(known)
  try {
    await fenceRoom(ctx, { sessionId, generation: fence }, reason)
    return null
  } catch (error) {
    if (error instanceof RoomUnreachable) return error
    throw error
  }
}

/** A machine is made after the fence only. */
const machineWasMade = ({ phases }: Sandbox) =>
  readPhases(phases).some(({ phase, state }) => phase === "machine" && state === "done")

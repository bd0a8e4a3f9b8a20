import type { Failure } from "#protocol/entry"
import { readClaim } from "../../domain/dispatch/index.ts"
import { LIVE_ATTEMPT } from "../../domain/sandboxes/index.ts"
import { callRoom } from "../call-room.ts"
import type { JobContext, JobHandler } from "../context.ts"

/** Tells the room of claims that it may not have, or that there may be something to claim. */
export const deliver: JobHandler<"deliver"> = async (ctx, { sessionId }) => {
  const session = await ctx.db.session.findUnique({
    where: { id: sessionId },
    include: {
      attempts: {
        where: { state: { in: [...LIVE_ATTEMPT] } },
        orderBy: [{ steer: "asc" }, { createdAt: "asc" }],
      },
      sandboxes: { where: { state: "ready" } },
      prompts: { where: { state: "queued" }, select: { id: true }, take: 1 },
    },
  })
  if (!session || session.endedAt) return
  const ready = session.sandboxes.some(({ generation }) => generation === session.generation)
  if (!ready) return
  const { attempts, prompts, generation } = session
  if (attempts.length === 0 && prompts.length === 0) return
  if (attempts.length === 0) {
    return report(ctx, sessionId, await callRoom(ctx, sessionId, { call: "pull" }))
  }
  for (const attempt of attempts) {
    if (attempt.generation !== generation || attempt.acceptedAt) continue
    const claim = await readClaim(ctx.db, ctx, attempt)
    report(ctx, sessionId, await callRoom(ctx, sessionId, { call: "run", claim }))
  }
}

/** A room that says no has its reason: it is fenced, or still busy and will ask by itself. */
function report(
  ctx: JobContext,
  sessionId: string,
  answer: { ok: true } | { ok: false; error: Failure },
): void {
  if (answer.ok) return
  ctx.log.info("deliver.declined", { session_id: sessionId, reason: answer.error.reason })
}

import { addJob } from "../../jobs/queue.ts"
import { findSession, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { giveUpSandbox } from "../sandboxes/index.ts"
import { changeSession } from "../status/index.ts"
import { getSession, type SessionRef } from "./get-session.ts"
import type { SessionShape } from "./session-shape.ts"

/**
 * Ends the session for good: queued prompts are withdrawn, the sandbox goes, and the room ends what runs. Its history
 * stays. A repeat changes nothing.
 */
export async function terminateSession(
  ctx: DomainContext,
  { sessionId }: SessionRef,
): Promise<SessionShape> {
  requireWrite(ctx)
  await findSession(ctx, sessionId)
  await changeSession(ctx, sessionId, async (tx, session) => {
    if (session.endedAt) return
    const now = ctx.now()
    await tx.prompt.updateMany({
      where: { sessionId, state: "queued" },
      data: { state: "withdrawn", endedAt: now },
    })
    await tx.session.update({
      where: { id: sessionId },
      data: { status: "ended", statusSince: now, endedAt: now },
    })
    await addJob(tx, "end-session", { sessionId }, { jobKey: `end-session:${sessionId}` })
    await giveUpSandbox(tx, { sessionId, generation: session.generation }, null)
  })
  return getSession(ctx, { sessionId })
}

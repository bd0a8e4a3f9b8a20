import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_SANDBOX } from "./live.ts"

/**
 * Asks for the session's next sandbox unless one is live; the start-sandbox job does the rest. Runs inside
 * `changeSession`, whose lock makes the generation number safe. Answers the generation asked for, or null.
 */
export async function requestSandbox(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  sessionId: string,
): Promise<number | null> {
  const live = await tx.sandbox.count({ where: { sessionId, state: { in: [...LIVE_SANDBOX] } } })
  if (live > 0) return null
  const { generation } = await tx.session.update({
    where: { id: sessionId },
    data: { generation: { increment: 1 } },
    select: { generation: true },
  })
  const now = ctx.now()
  await tx.sandbox.create({
    data: {
      sessionId,
      generation,
      provider: ctx.settings.sandboxProvider,
      state: "requested",
      linkSince: now,
      createdAt: now,
    },
  })
  const jobKey = `start-sandbox:${sessionId}:${generation}`
  await addJob(tx, "start-sandbox", { sessionId, generation }, { jobKey })
  return generation
}

import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { NotFound } from "../errors.ts"
import { refreshStatus } from "./refresh-status.ts"

/**
 * Runs `change` in one transaction that holds the session's lock, then refreshes its status. Every change of a
 * session's rows goes through here, so changes of one session happen one after the other and cannot deadlock.
 */
export function changeSession<T>(
  ctx: Pick<SystemContext, "db" | "now">,
  sessionId: string,
  change: (tx: Transaction, session: Session) => Promise<T>,
): Promise<T> {
  return ctx.db.$transaction(async (tx) => {
    const session = await lockSession(tx, sessionId)
    const result = await change(tx, session)
    await refreshStatus(tx, sessionId, ctx.now())
    return result
  })
}

/** Takes the session's lock, without which none of its rows is changed, and reads it. */
export async function lockSession(tx: Transaction, sessionId: string): Promise<Session> {
  await tx.$executeRaw`select 1 from "Session" where id = ${sessionId} for no key update`
  const session = await tx.session.findUnique({ where: { id: sessionId } })
  if (!session) throw new NotFound("session", sessionId)
  return session
}

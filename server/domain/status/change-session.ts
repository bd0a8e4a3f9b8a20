import type { Session } from "../../../prisma/generated/client.ts"
import { sql, type Transaction } from "../../db.ts"
import type { Actor, SystemContext } from "../context.ts"
import { NotFound } from "../errors.ts"
import { refreshStatus } from "./refresh-status.ts"

/** With an actor, only the sessions of that actor's team are found. */
type Reach = { actor?: Pick<Actor, "teamId"> }

/**
 * Runs `change` in one transaction that holds the session's lock, then refreshes its status. What a status follows from
 * is changed here, or in ingest, which takes the same lock by itself: such changes of one session happen one after the
 * other and cannot deadlock. A title, an archive mark or the mark of an announced status is one update without the lock.
 */
export function changeSession<T>(
  ctx: Pick<SystemContext, "db" | "now"> & Reach,
  sessionId: string,
  change: (tx: Transaction, session: Session) => Promise<T>,
): Promise<T> {
  return ctx.db.$transaction(async (tx) => {
    const session = await lockSession(tx, sessionId, ctx)
    const result = await change(tx, session)
    await refreshStatus(tx, sessionId, ctx.now())
    return result
  })
}

/** Takes the session's lock and reads it. */
export async function lockSession(
  tx: Transaction,
  sessionId: string,
  { actor }: Reach = {},
): Promise<Session> {
  const inReach = actor ? sql`"teamId" = ${actor.teamId}` : sql`true`
  const [session] = await tx.$queryRaw<Session[]>`
    select * from "Session" where id = ${sessionId} and ${inReach} for no key update`
  if (!session) throw new NotFound("session", sessionId)
  return session
}

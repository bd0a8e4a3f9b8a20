import type { Attempt, Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"

export type LiveAttempt = Pick<
  Attempt,
  "promptId" | "number" | "generation" | "steer" | "hostPromptId" | "hostNumber"
>

/** What decides whether a session can run a prompt now. */
export type DispatchFacts = {
  /** A sandbox runs or is on its way. */
  awake: boolean
  /** The newest sandbox takes prompts. */
  ready: boolean
  /** Its runner is connected to the room, as far as PostgreSQL has heard. */
  connected: boolean
  /** The attempt that has not ended: the one with a turn of its own, or else a steer whose host is over (D14). */
  live: LiveAttempt | null
}

/** All of it in one query; the caller holds the session's lock. */
export async function readDispatchFacts(
  tx: Transaction,
  { id: sessionId, generation }: Pick<Session, "id" | "generation">,
): Promise<DispatchFacts> {
  const [facts] = await tx.$queryRaw<DispatchFacts[]>`
    select coalesce(bool_or(b.state in ('requested', 'starting', 'ready')), false) as awake,
           coalesce(bool_or(b.generation = ${generation} and b.state = 'ready'), false) as ready,
           coalesce(bool_or(b.generation = ${generation} and b.link = 'connected'), false) as connected,
           (select to_jsonb(a) from "Attempt" a
             where a."sessionId" = ${sessionId} and a.state in ('dispatched', 'running')
             order by a.steer, a."createdAt", a."promptId" limit 1) as live
      from "Sandbox" b
     where b."sessionId" = ${sessionId}`
  if (!facts) throw new Error("PostgreSQL answered an aggregate without a row.")
  return facts
}

import { sql, type Transaction } from "../../db.ts"
import { jobSql } from "../../jobs/queue.ts"
import { NotFound } from "../errors.ts"
import { type StatusFacts, type StatusWithReason, sessionStatus } from "./session-status.ts"

/**
 * A turn that begins shows itself by its prompt; announcing it as a status waits until the agent has asked its model,
 * and comes before a quick model answers: nobody waits for this machine then.
 */
const TURN_FIRST_MS = 250

/**
 * Stores the status that follows from the session's rows. A change gets the next version, and a job tells the room
 * and the team's bus of it. The caller holds the session's lock.
 */
export async function refreshStatus(tx: Transaction, sessionId: string, now: Date): Promise<void> {
  const { stored, ...facts } = await readFacts(tx, sessionId)
  const { status, reason } = sessionStatus(facts)
  if (status === stored.status && reason === stored.reason) return
  const version = stored.version + 1
  const since = status === stored.status ? sql`"statusSince"` : sql`${now}::timestamptz`
  const announce = jobSql(
    "announce-status",
    { sessionId },
    {
      jobKey: `announce:${sessionId}`,
      runAt: status === "working" ? new Date(now.getTime() + TURN_FIRST_MS) : undefined,
    },
  )
  await tx.$executeRaw`
    with changed as (
      update "Session"
         set status = ${status}::"SessionStatus", "statusReason" = ${reason},
             "statusVersion" = ${version}, "statusSince" = ${since}
       where id = ${sessionId}),
    noted as (
      insert into "StatusChange" ("sessionId", version, status, reason, at)
      values (${sessionId}, ${version}, ${status}::"SessionStatus", ${reason}, ${now}::timestamptz))
    select ${announce}`
}

type FactsRow = {
  ended: boolean
  stored: StatusWithReason & { version: number }
  sandbox: NonNullable<StatusFacts["sandbox"]> | null
  wakes: boolean
  attempt: StatusFacts["attempt"]
  queued: number
  steerQueued: boolean
  steerJoins: boolean
}

/** All that the status follows from, in one query: it is asked at the end of almost every transaction. */
async function readFacts(tx: Transaction, sessionId: string): Promise<FactsRow> {
  const [row] = await tx.$queryRaw<FactsRow[]>`
    select s."endedAt" is not null as ended,
           jsonb_build_object('status', s.status, 'reason', s."statusReason",
                              'version', s."statusVersion") as stored,
           (select jsonb_build_object('state', b.state, 'link', b.link, 'error', b.error,
                                      'phase', b.phases->-1->'phase',
                                      'detail', coalesce(b.phases->-1->>'detail', ''))
              from "Sandbox" b
             where b."sessionId" = s.id and b.generation = s.generation) as sandbox,
           exists (select 1 from "Sandbox" b
                    where b."sessionId" = s.id and b.generation < s.generation
                      and b."readyAt" is not null) as wakes,
           (select jsonb_build_object('state', a.state,
                                      'stopRequested', a."stopRequestedAt" is not null)
              from "Attempt" a
             where a."sessionId" = s.id and a.state in ('dispatched', 'running') and not a.steer
             limit 1) as attempt,
           exists (select 1 from "Attempt" a
                    where a."sessionId" = s.id and a.state = 'dispatched' and a.steer) as "steerJoins",
           q.queued, q."steerQueued"
      from "Session" s
     cross join lateral (
             select count(*)::int as queued,
                    coalesce(bool_or(p.mode = 'steer'), false) as "steerQueued"
               from "Prompt" p
              where p."sessionId" = s.id and p.state = 'queued') q
     where s.id = ${sessionId}`
  if (!row) throw new NotFound("session", sessionId)
  return row
}

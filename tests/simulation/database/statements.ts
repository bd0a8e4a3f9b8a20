import { sql } from "../../../server/db.ts"
import type { JobTable } from "./job-table.ts"
import type { Row } from "./models.ts"
import type { Tables } from "./tables.ts"

type Values = readonly unknown[]
type Statement = {
  /** What the SQL holds that no other statement does. */
  mark: string
  run(tables: Tables, values: Values, jobs: JobTable, text: string): unknown
}

/**
 * The SQL that the verbs write by hand, each as what it does to the tables. Whoever changes one changes it here too; the
 * comparison with PostgreSQL in simulation.test.ts tells whether it was done rightly.
 */
const STATEMENTS: Statement[] = [
  // One transaction runs at a time, so every lock is free.
  { mark: "pg_advisory_xact_lock", run: () => 1 },
  { mark: "for no key update", run: lockSession },
  { mark: "graphile_worker.force_unlock_workers", run: releaseJobs },
  { mark: 'insert into "StatusChange"', run: changeStatus },
  { mark: "graphile_worker.add_job", run: addJob },
  { mark: 'as "steerJoins"', run: statusFacts },
  { mark: "as connected", run: dispatchFacts },
  { mark: "with claimed as", run: claim },
  { mark: 'insert into "Prompt"', run: insertPrompt },
  {
    mark: "as position",
    run: (tables, values, _jobs, text) => [{ position: place(tables, text, values) }],
  },
  { mark: 'insert into "Entry"', run: storeEntries },
  { mark: "and seq > ?", run: pageForward },
]

/** Every SQL that is known here, by its mark. */
export const KNOWN_SQL: readonly string[] = STATEMENTS.map(({ mark }) => mark)

/** Does what the SQL says; `used` is told which one it is. */
export function runStatement(
  tables: Tables,
  jobs: JobTable,
  used: Set<string>,
  strings: readonly string[],
  raw: Values,
): unknown {
  const query = sql(strings, ...raw)
  const text = query.strings.join("?").replaceAll(/\s+/g, " ")
  const statement = STATEMENTS.find(({ mark }) => text.includes(mark))
  if (!statement) {
    throw new Error(`tests/simulation/database/statements.ts does not know the SQL: ${text}`)
  }
  used.add(statement.mark)
  return statement.run(tables, query.values, jobs, text)
}

const LIVE = ["dispatched", "running"]
const isLive = ({ state }: Row) => LIVE.includes(String(state))

const ofSession = (tables: Tables, model: string, sessionId: unknown) =>
  tables.rows(model).filter((row) => row.sessionId === sessionId)

const sessionOf = (tables: Tables, sessionId: unknown) => tables.row("session", sessionId)

function lockSession(tables: Tables, [id, teamId]: Values): Row[] {
  const session = sessionOf(tables, id)
  const isInReach = teamId === undefined || session?.teamId === teamId
  return session && isInReach ? [{ ...session }] : []
}

/** A worker that starts releases all; leases are measured by PostgreSQL's own clock, on which a history takes no time. */
function releaseJobs(_tables: Tables, [leaseSeconds]: Values, jobs: JobTable): number {
  return leaseSeconds === 0 ? jobs.unlockAll() : 0
}

function addJob(_tables: Tables, values: Values, jobs: JobTable): number {
  const [name, json, runAt, maxAttempts, key] = values
  jobs.add({
    name: String(name),
    payload: JSON.parse(String(json)),
    runAt: runAt instanceof Date ? runAt : null,
    maxAttempts: typeof maxAttempts === "number" ? maxAttempts : null,
    key: typeof key === "string" ? key : null,
  })
  return 1
}

function statusFacts(tables: Tables, [sessionId]: Values): Row[] {
  const session = sessionOf(tables, sessionId)
  if (!session) return []
  const sandboxes = ofSession(tables, "sandbox", sessionId)
  const attempts = ofSession(tables, "attempt", sessionId)
  const queued = ofSession(tables, "prompt", sessionId).filter(({ state }) => state === "queued")
  const newest = sandboxes.find(({ generation }) => generation === session.generation)
  const last = Array.isArray(newest?.phases) ? newest.phases.at(-1) : undefined
  const { phase = null, detail = "" } = last ?? {}
  const attempt = attempts.find((row) => isLive(row) && row.steer === false)
  const { status, statusReason: reason, statusVersion: version } = session
  const { state, link, error } = newest ?? {}
  const isEarlier = ({ generation }: Row) => Number(generation) < Number(session.generation)
  return [
    {
      ended: session.endedAt !== null,
      stored: { status, reason, version },
      sandbox: newest ? { state, link, error, phase, detail } : null,
      wakes: sandboxes.some((row) => isEarlier(row) && row.readyAt !== null),
      attempt: attempt
        ? { state: attempt.state, stopRequested: attempt.stopRequestedAt !== null }
        : null,
      steerJoins: attempts.some((row) => row.state === "dispatched" && row.steer === true),
      queued: queued.length,
      steerQueued: queued.some(({ mode }) => mode === "steer"),
    },
  ]
}

function changeStatus(tables: Tables, values: Values, jobs: JobTable): number {
  // Its announcement stands in the same statement, at its end.
  const [sessionId, version, status, reason, at] = values.slice(-10, -5)
  const session = sessionOf(tables, sessionId)
  // With another status comes the time since when it is so.
  const since = values.length === 15 ? { statusSince: at } : {}
  const changed = { status, statusReason: reason, statusVersion: version, ...since }
  if (session) tables.assign("session", session, changed)
  tables.add("statusChange", { sessionId, version, status, reason, at })
  return addJob(tables, values.slice(-5), jobs)
}

function dispatchFacts(tables: Tables, [generation, , sessionId]: Values): Row[] {
  const sandboxes = ofSession(tables, "sandbox", sessionId)
  const newest = sandboxes.filter((row) => row.generation === generation)
  const [live] = ofSession(tables, "attempt", sessionId)
    .filter(isLive)
    .sort((a, b) => Number(a.steer) - Number(b.steer) || byAge(a, b, "promptId"))
  const isAwake = ({ state }: Row) => ["requested", "starting", "ready"].includes(String(state))
  return [
    {
      awake: sandboxes.some(isAwake),
      ready: newest.some(({ state }) => state === "ready"),
      connected: newest.some(({ link }) => link === "connected"),
      live: live ? { ...live } : null,
    },
  ]
}

function claim(tables: Tables, values: Values, _jobs: JobTable, text: string): Row[] {
  const [now, which, generation, steer, hostPromptId, hostNumber] = values
  const takesHead = text.includes('select id from "Prompt"')
  const queued = tables.rows("prompt").filter(({ state }) => state === "queued")
  const [prompt] = takesHead
    ? queued.filter((row) => row.sessionId === which).sort(byPlace)
    : queued.filter(({ id }) => id === which)
  if (!prompt) return []
  const attempt = Number(prompt.attempt) + 1
  tables.assign("prompt", prompt, { state: "dispatched", attempt, startedAt: now, endedAt: null })
  const { id, sessionId, authorId, text: said, model, agent } = prompt
  const host = { steer, hostPromptId, hostNumber }
  const begun = { promptId: id, number: attempt, sessionId, generation, ...host }
  tables.add("attempt", { ...begun, state: "dispatched", createdAt: now })
  const author = tables.rows("user").find((user) => user.id === authorId)
  return [{ id, attempt, text: said, model, agent, author: { id: author?.id, name: author?.name } }]
}

function insertPrompt(tables: Tables, values: Values, _jobs: JobTable, sqlText: string): number {
  const [id, sessionId, authorId, text, mode, model, agent, ...rest] = values
  const [bodyHash, createdAt] = rest.slice(-3)
  if (tables.rows("prompt").some((prompt) => prompt.id === id)) return 0
  const position = place(tables, sqlText, rest.slice(0, -3))
  const fields = {
    id,
    sessionId,
    authorId,
    text,
    mode,
    model,
    agent,
    position,
    bodyHash,
    createdAt,
  }
  tables.add("prompt", fields)
  const session = sessionOf(tables, sessionId)
  if (session) tables.assign("session", session, { lastActivityAt: createdAt, archivedAt: null })
  return 1
}

/** The head of a queue, behind steers that were sent before; or its tail. */
function place(tables: Tables, text: string, values: Values): number {
  const [sentAt] = values
  const sessionId = values.at(-1)
  const prompts = ofSession(tables, "prompt", sessionId)
  const positions = (rows: Row[]) => rows.map(({ position }) => Number(position))
  const tail = Math.floor(Math.max(0, ...positions(prompts))) + 1
  if (!text.includes("as earlier")) return tail
  const queued = prompts.filter(({ state }) => state === "queued")
  const sent = sentAt instanceof Date ? sentAt.getTime() : 0
  const isEarlier = ({ mode, createdAt }: Row) =>
    mode === "steer" && createdAt instanceof Date && createdAt.getTime() < sent
  const earlier = positions(queued.filter(isEarlier))
  if (earlier.length === 0) {
    return queued.length === 0 ? tail : Math.ceil(Math.min(...positions(queued))) - 1
  }
  const behind = Math.max(...earlier)
  const after = positions(queued).filter((position) => position > behind)
  return after.length === 0 ? behind + 1 : (behind + Math.min(...after)) / 2
}

function storeEntries(tables: Tables, [sessionId, json]: Values): number {
  const incoming: Row[] = JSON.parse(String(json))
  for (const { at, ...row } of incoming) {
    const columns = { ...row, sessionId, at: new Date(String(at)) }
    const known = tables.row("entry", sessionId, row.key)
    if (!known) tables.add("entry", columns)
    else if (Number(row.seq) > Number(known.seq)) {
      tables.assign("entry", known, { ...columns, firstSeq: known.firstSeq })
    }
  }
  return incoming.length
}

function pageForward(tables: Tables, [sessionId, after, upTo, limit]: Values): Row[] {
  const rows = ofSession(tables, "entry", sessionId)
    .filter(({ seq }) => Number(seq) > Number(after) && Number(seq) <= Number(upTo))
    .sort((a, b) => Number(a.seq) - Number(b.seq))
  return withSizes(rows.slice(0, Number(limit)))
}

function withSizes(rows: Row[]): Row[] {
  let bytesSoFar = 0
  return rows.map(({ sessionId: _, ...row }) => {
    bytesSoFar += JSON.stringify(row.body).length
    return { ...row, bytesSoFar }
  })
}

const byPlace = (a: Row, b: Row) => Number(a.position) - Number(b.position) || byAge(a, b, "id")

function byAge(a: Row, b: Row, tieBreaker: string): number {
  return (
    Number(a.createdAt) - Number(b.createdAt) ||
    (String(a[tieBreaker]) < String(b[tieBreaker]) ? -1 : 1)
  )
}

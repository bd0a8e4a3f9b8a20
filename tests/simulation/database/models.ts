export type Row = Record<string, unknown>

/** How rows of another table belong to a row: every pair is a column here and its column there. */
export type Relation = { model: string; many: boolean; on: readonly (readonly [string, string])[] }

export type Model = {
  key: readonly string[]
  /** Unique groups of columns by the name that queries give them. */
  unique?: Record<string, readonly string[]>
  defaults?: () => Row
  relations?: Record<string, Relation>
  /** Why a row may not be as it is, or null: what the migrations' constraints refuse. */
  refusal?: (row: Row, all: Iterable<Row>) => string | null
}

const one = (model: string, here: string, there = "id"): Relation => ({
  model,
  many: false,
  on: [[here, there]],
})
const many = (model: string, there: string, here = "id"): Relation => ({
  model,
  many: true,
  on: [[here, there]],
})

const isIn = (value: unknown, list: readonly unknown[]) => list.includes(value)
const LIVE_ATTEMPT = ["dispatched", "running"]
const LIVE_SANDBOX = ["requested", "starting", "ready"]
const ATTEMPT_STATES = [...LIVE_ATTEMPT, "succeeded", "failed", "stopped", "interrupted"]

function isSecond(row: Row, all: Iterable<Row>, counts: (row: Row) => boolean): boolean {
  if (!counts(row)) return false
  for (const other of all) {
    if (other !== row && other.sessionId === row.sessionId && counts(other)) return true
  }
  return false
}

/** The tables of prisma/schema.prisma that the simulated verbs use. */
export const MODELS: Record<string, Model> = {
  user: { key: ["id"], defaults: () => ({ email: null }) },
  team: { key: ["id"] },
  member: { key: ["teamId", "userId"] },
  session: {
    key: ["id"],
    unique: { teamId_idempotencyKey: ["teamId", "idempotencyKey"] },
    defaults: () => ({
      branch: null,
      baseCommit: null,
      idempotencyKey: null,
      status: "queued",
      statusVersion: 0,
      announcedStatus: 0,
      generation: 0,
      epoch: 0n,
      ingestedSeq: 0,
      costMicros: 0n,
      endedAt: null,
      archivedAt: null,
    }),
    relations: {
      createdBy: one("user", "createdById"),
      prompts: many("prompt", "sessionId"),
      attempts: many("attempt", "sessionId"),
      sandboxes: many("sandbox", "sessionId"),
    },
    refusal(row) {
      if ((row.status === "ended") !== (row.endedAt !== null)) return "session_ended"
      const announced = Number(row.announcedStatus) <= Number(row.statusVersion)
      return announced ? null : "session_counters"
    },
  },
  statusChange: { key: ["sessionId", "version"] },
  prompt: {
    key: ["id"],
    defaults: () => ({
      state: "queued",
      error: null,
      attempt: 0,
      startedAt: null,
      endedAt: null,
    }),
    relations: { author: one("user", "authorId"), session: one("session", "sessionId") },
    refusal(row) {
      if (row.text === "") return "prompt_text_not_empty"
      const open = isIn(row.state, ["queued", ...LIVE_ATTEMPT])
      return open === (row.endedAt === null) ? null : "prompt_end"
    },
  },
  attempt: {
    key: ["promptId", "number"],
    defaults: () => ({
      hostPromptId: null,
      hostNumber: null,
      error: null,
      stopRequestedAt: null,
      acceptedAt: null,
      startedAt: null,
      endedAt: null,
    }),
    relations: { session: one("session", "sessionId"), prompt: one("prompt", "promptId") },
    refusal(row, all) {
      if (!isIn(row.state, ATTEMPT_STATES)) return "attempt_state"
      if (isIn(row.state, LIVE_ATTEMPT) !== (row.endedAt === null)) return "attempt_end"
      if (row.steer !== (row.hostPromptId !== null)) return "attempt_host"
      const counts = ({ state, steer }: Row) => isIn(state, LIVE_ATTEMPT) && steer === false
      return isSecond(row, all, counts) ? "attempt_one_live" : null
    },
  },
  sandbox: {
    key: ["sessionId", "generation"],
    defaults: () => ({
      link: "absent",
      phases: [],
      error: null,
      startedAt: null,
      readyAt: null,
      stoppedAt: null,
    }),
    relations: { session: one("session", "sessionId") },
    refusal: (row, all) =>
      isSecond(row, all, ({ state }) => isIn(state, LIVE_SANDBOX)) ? "sandbox_one_live" : null,
  },
  entry: { key: ["sessionId", "key"] },
  grant: { key: ["id"], defaults: () => ({ revokedAt: null }) },
  usage: { key: ["callId"] },
  turnDiff: { key: ["sessionId", "turnId"] },
}

export function modelOf(name: string): Model {
  const model = MODELS[name]
  if (!model) throw new Error(`The simulated database has no table ${name}`)
  return model
}

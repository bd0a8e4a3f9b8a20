import * as z from "zod"
import { parseCursor } from "#protocol/cursor"
import { type Entry, promptStateSchema } from "#protocol/entry"
import { type AgentPart, agentParts } from "./agent-store.ts"
import type { FaultSession } from "./fault-session.ts"
import { isScripted, markOf } from "./script.ts"
import type { Viewer } from "./viewer.ts"

const PAGE_LIMIT = 500

/** What one viewer holds and was ever shown. */
export type Seen = {
  name: string
  /** How far it was told to be complete. */
  seq: number
  /** Entries as canonical JSON, in the order on screen. */
  screen: string[]
  /** Every version that arrived, as canonical JSON, by `key@seq`. */
  versions: ReadonlyMap<string, string>
  offences: readonly string[]
}

const countsSchema = z.object({ rows: z.int(), keys: z.int(), seqs: z.int(), firsts: z.int() })
const promptSchema = z.object({
  id: z.string(),
  text: z.string(),
  state: promptStateSchema,
  attempt: z.int(),
})
const attemptSchema = z.object({
  promptId: z.string(),
  number: z.int(),
  state: promptStateSchema,
  ended: z.boolean(),
})

/** All that is known of a session at one moment, wherever it is kept. */
export type Recording = {
  /** The whole history in the order of its pages. */
  entries: Entry[]
  /** How far the history says to be complete. */
  upTo: number
  /** Rows of the table of entries, and how many different keys, numbers and places they have. */
  counts: z.infer<typeof countsSchema>
  viewers: Seen[]
  prompts: (z.infer<typeof promptSchema> & {
    /** How often the agent carried it out, by its own notes; null for one that leaves no note. */
    executions: number | null
  })[]
  attempts: z.infer<typeof attemptSchema>[]
  agentParts: AgentPart[]
}

/** Reads the API, the database around the API, the viewers and the agent's own store. */
export async function record(session: FaultSession, viewers: Viewer[]): Promise<Recording> {
  const { stack, id, directory } = session
  const history = await readHistory(session)
  const [counts = { rows: 0, keys: 0, seqs: 0, firsts: 0 }] = await stack.rows(
    countsSchema,
    `SELECT count(*)::int AS rows, count(DISTINCT key)::int AS keys, count(DISTINCT seq)::int AS seqs,
       count(DISTINCT "firstSeq")::int AS firsts FROM "Entry" WHERE "sessionId" = $1`,
    [id],
  )
  const prompts = await stack.rows(
    promptSchema,
    `SELECT id, text, state, attempt FROM "Prompt" WHERE "sessionId" = $1`,
    [id],
  )
  const attempts = await stack.rows(
    attemptSchema,
    `SELECT "promptId", number, state, "endedAt" IS NOT NULL AS ended FROM "Attempt" WHERE "sessionId" = $1`,
    [id],
  )
  return {
    ...history,
    counts,
    viewers: viewers.map(seen),
    prompts: prompts.map((prompt) => ({
      ...prompt,
      executions: isScripted(prompt.text) ? session.executions(markOf(prompt.text)) : null,
    })),
    attempts,
    agentParts: agentParts(directory),
  }
}

async function readHistory({ stack, id: sessionId }: FaultSession) {
  const entries: Entry[] = []
  for (let since = "0"; ; ) {
    const page = await stack.api.timeline.page.query({ sessionId, since, limit: PAGE_LIMIT })
    entries.push(...page.items)
    since = page.upTo
    if (!page.hasMore) return { entries, upTo: parseCursor(since).seq }
  }
}

function seen(viewer: Viewer, index: number): Seen {
  const { versions, offences } = viewer.shown
  const { seq } = viewer.log.cursor
  return { name: `viewer ${index}`, seq, screen: viewer.screen(), versions, offences }
}

import { START } from "../protocol/cursor.ts"
import { type DraftEntry, type DraftEntryOf, entrySchema } from "../protocol/entry.ts"
import type { Outage } from "../protocol/viewer.ts"
import type { Connection } from "./connection.ts"
import type { ReportRow } from "./effects.ts"
import type { RoomMeta } from "./meta.ts"
import type { RoomReader } from "./reader.ts"

/** A text that is still growing. */
export type OpenText = {
  draft: DraftEntryOf<"text" | "reasoning">
  firstSeq: number
  /** All of it, with the deltas that are not stored. */
  text: string
  /** Its end that live viewers were not sent yet. */
  fresh: string
  /** Live viewers do not hold what precedes `fresh`, so the next frame carries the whole entry. */
  whole: boolean
  /** Length of the newest stored version. */
  stored: number
  /** The runner was asked for a checkpoint, because a piece is missing. */
  asked: boolean
}

/** A version that waits for the next flush. */
export type PendingEntry = { draft: DraftEntry; seq: number; firstSeq: number; at: string }

export type Pending = {
  /** Newest version per key, in the order of `seq`. */
  entries: Map<string, PendingEntry>
  reports: ReportRow[]
  attempts: { promptId: string; attempt: number }[]
  tickets: { jti: string; expiresAtSeconds: number }[]
  /** Open texts with a piece that live viewers were not sent. */
  grown: Set<string>
  /** Characters that the runner sent since the last flush. */
  chars: number
  /** The runner waits for an acknowledgement. */
  ack: boolean
  /** Viewers were not told who is here. */
  presence: boolean
}

/**
 * A post that is repeated until it succeeds; `dueAt` null when there is no need for one, `failure` why the last one
 * failed.
 */
export type Retry = {
  dueAt: number | null
  underway: boolean
  failures: number
  failure: string | null
}

/** What a room knows. `meta` is what is stored (or will be by the next flush); all else dies with the process. */
export type RoomState = {
  meta: RoomMeta
  /** Members of `meta` that changed since the last flush. */
  dirty: Set<keyof RoomMeta>
  /** `meta.log.head` as of the last flush: the place of every live viewer. */
  storedHead: number

  pending: Pending
  lastFlushAt: number
  flushDueAt: number | null

  /** Both hold parts of the live attempt's turn only. */
  openTexts: Map<string, OpenText>
  openTools: Map<string, DraftEntryOf<"tool">>

  connections: Map<string, Connection>
  /** The connection that speaks for the current generation. */
  runner: string | null
  runnerHeardAt: number
  /** The runner was asked why it does not accept the live attempt (D8). */
  acceptanceAsked: boolean
  /** Questions under way to the runner, by reply id, and when they are given up. */
  asks: Map<string, number>

  ingest: Retry
  claim: Retry
  /** What viewers were told of failing posts. */
  outage: Outage | null
  tickAt: number | null
  alarmAt: number | null
  /** An alarm is needed and not set yet: when it will be. */
  alarmWaitsUntil: number | null
}

/** The state of a room whose storage holds `stored`: nothing at all for a room that is born `now`. */
export function initialState(
  stored: Partial<RoomMeta>,
  reader: RoomReader,
  now: number,
): RoomState {
  const meta: RoomMeta = {
    log: { epoch: now, head: 0, tail: 0, ingestedSeq: 0, base: START },
    fence: { generation: 0, teamId: null, ended: null },
    ended: null,
    work: null,
    steers: [],
    stream: null,
    open: [],
    statusVersion: 0,
    readyGeneration: 0,
    link: null,
    ...stored,
  }
  const state: RoomState = {
    meta,
    dirty: new Set(stored.log ? [] : ["log"]),
    storedHead: meta.log.head,
    pending: nothingPending(),
    lastFlushAt: 0,
    flushDueAt: null,
    openTexts: new Map(),
    openTools: new Map(),
    connections: new Map(),
    runner: null,
    runnerHeardAt: now,
    acceptanceAsked: false,
    asks: new Map(),
    ingest: { dueAt: null, underway: false, failures: 0, failure: null },
    claim: { dueAt: null, underway: false, failures: 0, failure: null },
    outage: null,
    tickAt: null,
    alarmAt: null,
    alarmWaitsUntil: null,
  }
  for (const key of meta.open) reopen(state, key, reader.body(key))
  return state
}

/** An unfinished part as it was stored; deltas of the room's last life are gone until the runner's next checkpoint. */
function reopen(state: RoomState, key: string, body: string | null): void {
  if (body === null) return
  const { seq: _seq, firstSeq, at: _at, ...draft } = entrySchema.parse(JSON.parse(body))
  if (draft.kind === "tool") state.openTools.set(key, draft)
  if (draft.kind !== "text" && draft.kind !== "reasoning") return
  const { text } = draft
  state.openTexts.set(key, {
    draft,
    firstSeq,
    text,
    fresh: "",
    whole: false,
    stored: text.length,
    asked: false,
  })
}

export function nothingPending(): Pending {
  return {
    entries: new Map(),
    reports: [],
    attempts: [],
    tickets: [],
    grown: new Set(),
    chars: 0,
    ack: false,
    presence: false,
  }
}

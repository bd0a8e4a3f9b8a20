import { START } from "../protocol/cursor.ts"
import type { DraftEntry, DraftEntryOf } from "../protocol/entry.ts"
import type { Connection } from "./connection.ts"
import type { ReportRow } from "./effects.ts"
import type { RoomMeta } from "./meta.ts"
import { restoreOpen } from "./open-parts.ts"
import type { RoomReader } from "./reader.ts"

/** A text that is still growing. */
export type OpenText = {
  draft: DraftEntryOf<"text" | "reasoning">
  firstSeq: number
  /** All of it, with the deltas that are not stored. */
  text: string
  /** How much of it the newest stored version holds. */
  stored: number
  /** How much of it live viewers were sent; null when they need the whole entry. */
  shown: number | null
  /** The runner was asked for a checkpoint, because a piece is missing. */
  asked: boolean
}

/** A version that waits for the next flush. */
export type PendingEntry = { draft: DraftEntry; seq: number; firstSeq: number; at: string }

/** A post that is repeated until it succeeds. */
export type Retry = { dueAt: number | null; underway: boolean; failures: number }

/** What a room knows. `meta` is what is stored (or will be by the next flush); all else dies with the process. */
export type RoomState = {
  meta: RoomMeta
  /** Members of `meta` that changed since the last flush. */
  dirty: Set<keyof RoomMeta>
  /** `meta.log.head` as of the last flush: the place of every live viewer. */
  storedHead: number

  pending: {
    /** Newest version per key, in the order of `seq`. */
    entries: Map<string, PendingEntry>
    reports: ReportRow[]
    attempts: { promptId: string; attempt: number }[]
    tickets: { jti: string; expiresAtSeconds: number }[]
    /** Open texts with pieces that viewers were not sent. */
    grown: Set<string>
    /** Characters that came in since the last flush. */
    chars: number
    /** The runner waits for an acknowledgement. */
    ack: boolean
    /** Viewers were not told who is here. */
    presence: boolean
  }
  lastFlushAt: number
  flushDueAt: number | null

  openTexts: Map<string, OpenText>
  openTools: Map<string, DraftEntryOf<"tool">>

  connections: Map<string, Connection>
  /** The connection that speaks for the current generation. */
  runner: string | null
  runnerHeardAt: number
  /** When `run` was sent and is not yet accepted. */
  runSentAt: number | null
  asks: Map<string, { dueAt: number }>

  ingest: Retry
  claim: Retry
  tickAt: number | null
  alarmAt: number | null
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
    runSentAt: null,
    asks: new Map(),
    ingest: { dueAt: null, underway: false, failures: 0 },
    claim: { dueAt: null, underway: false, failures: 0 },
    tickAt: null,
    alarmAt: null,
  }
  restoreOpen(state, reader)
  return state
}

export function nothingPending(): RoomState["pending"] {
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

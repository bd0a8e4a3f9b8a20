import type { Entry } from "../protocol/entry.ts"
import type { EntryRow, Store } from "./effects.ts"
import { encodeFrames, type Piece } from "./frames.ts"
import type { RoomMeta } from "./meta.ts"
import { people } from "./presence.ts"
import { broadcastFrame, broadcastNews } from "./send.ts"
import { nothingPending, type OpenText, type PendingEntry } from "./state.ts"
import { type Step, toRunner } from "./step.ts"

/** What may be dropped on the way, by compaction. */
export type Drop = Pick<Store, "dropBodies" | "dropReportsUpTo">

const NO_DROP: Drop = { dropBodies: null, dropReportsUpTo: null }

/**
 * One storage write of everything that waits, then in the same step one frame for all live viewers and one
 * acknowledgement: nothing is visible that is not stored (E2). Does nothing when nothing waits.
 */
export function flush(step: Step, drop: Drop = NO_DROP): void {
  const { state } = step
  const { pending, storedHead: from } = state
  state.pending = nothingPending()
  state.flushDueAt = null

  const pieces: Piece[] = []
  const entries: EntryRow[] = []
  for (const waiting of pending.entries.values()) {
    const open = state.openTexts.get(waiting.draft.key)
    const row = encodeEntry(waiting, open)
    entries.push(row)
    pieces.push(open ? shownPiece(open, row) : { seq: row.seq, entry: row.body })
    pending.grown.delete(row.key)
  }

  const meta = changedMeta(step)
  const { reports, attempts, tickets } = pending
  if (
    Object.keys(meta).length + reports.length + attempts.length + tickets.length > 0 ||
    drop !== NO_DROP
  ) {
    const store = { effect: "store", entries, reports, meta, attempts, tickets, ...drop } as const
    step.effects.push(store)
    step.reader.wrote(store)
  }
  state.storedHead = state.meta.log.head

  for (const key of pending.grown) {
    const open = state.openTexts.get(key)
    if (open) pieces.push({ seq: state.storedHead, delta: takeFresh(key, open) })
  }
  if (pieces.length > 0 || state.storedHead > from || pending.presence || pending.ack) {
    state.lastFlushAt = step.now
  }
  for (const frame of encodeFrames(from, state.storedHead, pieces)) broadcastFrame(step, frame)
  if (pending.presence) broadcastNews(step, { type: "presence", people: people(state) })
  if (pending.ack && state.meta.stream) {
    toRunner(step, { type: "ack", acked: state.meta.stream.acked })
  }
}

/** An open text is stored as far as it is known, which may be further than the version that asked for it. */
function encodeEntry({ draft, seq, firstSeq, at }: PendingEntry, open?: OpenText): EntryRow {
  const newest = open ? { ...open.draft, text: open.text } : draft
  const entry: Entry = { ...newest, seq, firstSeq, at }
  if (open) open.stored = open.text.length
  return { key: draft.key, seq, firstSeq, body: JSON.stringify(entry) }
}

/** A text that live viewers hold is not sent again: they learn its new seq and the piece that they lack. */
function shownPiece(open: OpenText, row: EntryRow): Piece {
  if (open.whole) {
    open.whole = false
    open.fresh = ""
    return { seq: row.seq, entry: row.body }
  }
  const length = open.text.length - open.fresh.length
  const grown: Piece = { seq: row.seq, grown: [row.key, row.seq, length] }
  return open.fresh === "" ? grown : { ...grown, delta: takeFresh(row.key, open) }
}

function takeFresh(key: string, open: OpenText): [string, number, string] {
  const { fresh } = open
  open.fresh = ""
  return [key, open.text.length - fresh.length, fresh]
}

/** Copies, since the state goes on changing before the effects run. */
function changedMeta({ state }: Step): Partial<RoomMeta> {
  if (state.dirty.has("open")) {
    state.meta.open = [...state.openTexts.keys(), ...state.openTools.keys()]
  }
  const changed = Object.fromEntries([...state.dirty].map((name) => [name, state.meta[name]]))
  state.dirty.clear()
  return structuredClone(changed)
}

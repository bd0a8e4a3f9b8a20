import { type Cursor, formatCursor, parseCursor, START } from "./cursor.ts"
import type { Entry, StreamedEntry } from "./entry.ts"
import type { Delta } from "./runner.ts"
import type { Grown, ToViewer, ToViewerOf } from "./viewer.ts"

/**
 * What a viewer holds of a session: the newest version of each entry, open texts with what was streamed since. Applying
 * something returns a new log that shares and changes the old one's collections, so that a frame costs what it
 * changes; the old log must not be used again. Entries themselves are replaced, never changed.
 */
export type SessionLog = {
  /** Complete up to here. */
  cursor: Cursor
  entries: Map<string, Entry>
  /** Keys in the order of the timeline (`firstSeq`). Tombstones are among them. */
  order: string[]
  /** Keys that the last application changed. */
  changed: string[]
}

export function emptyLog(): SessionLog {
  return { cursor: START, entries: new Map(), order: [], changed: [] }
}

/** What `hello` says. */
export function sinceOf(log: SessionLog): string {
  return formatCursor(log.cursor)
}

/**
 * Applies a message of the room; one that is not about the log changes nothing. `"gap"` when something is missing: say
 * hello again with {@link sinceOf} of the log that was given.
 */
export function applyFrame(log: SessionLog, message: ToViewer): SessionLog | "gap" {
  if (message.type === "replay") {
    return {
      ...log,
      cursor: { ...log.cursor, epoch: parseCursor(message.upTo).epoch },
      changed: [],
    }
  }
  return message.type === "frame" ? applyLog(log, message) : { ...log, changed: [] }
}

/** Applies a page of `timeline.page` that was read with `since`; its `upTo` is the new cursor. */
export function applyPage(log: SessionLog, items: Entry[], upTo: string): SessionLog {
  const changed: string[] = []
  for (const entry of items) put(log, entry, changed)
  return { ...log, cursor: parseCursor(upTo), changed }
}

function applyLog(log: SessionLog, frame: ToViewerOf<"frame">): SessionLog | "gap" {
  if (frame.from > log.cursor.seq) return "gap"
  const changed: string[] = []
  for (const entry of frame.entries ?? []) put(log, entry, changed)
  for (const grown of frame.grown ?? []) if (!grow(log, grown, changed)) return "gap"
  for (const delta of frame.deltas ?? []) if (!extend(log, delta, changed)) return "gap"
  const seq = Math.max(log.cursor.seq, frame.to)
  return { ...log, cursor: { ...log.cursor, seq }, changed: [...new Set(changed)] }
}

function put(log: SessionLog, entry: Entry, changed: string[]): void {
  const held = log.entries.get(entry.key)
  if (held && held.seq > entry.seq) return
  log.entries.set(entry.key, held ? keepLonger(held, entry) : entry)
  if (!held) insertInOrder(log, entry)
  changed.push(entry.key)
}

/** A stored version of an open text may be shorter than what was streamed: no text gets shorter while it is open. */
function keepLonger(held: Entry, entry: Entry): Entry {
  if (!isOpenText(entry) || !isOpenText(held)) return entry
  return held.text.startsWith(entry.text) ? { ...entry, text: held.text } : entry
}

function grow(log: SessionLog, [key, seq, length]: Grown, changed: string[]): boolean {
  const held = log.entries.get(key)
  if (held && held.seq >= seq) return true
  if (!isOpenText(held) || held.text.length < length) return lacks(log, held)
  log.entries.set(key, { ...held, seq })
  changed.push(key)
  return true
}

function extend(log: SessionLog, [key, offset, piece]: Delta, changed: string[]): boolean {
  const held = log.entries.get(key)
  // The text ended in a version that this viewer has already.
  if (held && !isOpenText(held)) return true
  if (!held || held.text.length < offset) return lacks(log, held)
  const overlap = held.text.length - offset
  if (overlap >= piece.length) return true
  log.entries.set(key, { ...held, text: held.text + piece.slice(overlap) })
  changed.push(key)
  return true
}

/** Steps back to where the room sends this entry again. */
function lacks(log: SessionLog, held: Entry | undefined): false {
  const seq = held ? held.seq - 1 : 0
  log.cursor = { ...log.cursor, seq: Math.min(log.cursor.seq, seq) }
  return false
}

/** New entries come last; those of older pages find their place by halving. */
function insertInOrder({ order, entries }: SessionLog, { key, firstSeq }: Entry): void {
  const placeAt = (index: number) => entries.get(order[index] ?? "")?.firstSeq ?? 0
  if (order.length === 0 || placeAt(order.length - 1) < firstSeq) {
    order.push(key)
    return
  }
  let low = 0
  for (let high = order.length; low < high; ) {
    const middle = (low + high) >> 1
    if (placeAt(middle) < firstSeq) low = middle + 1
    else high = middle
  }
  order.splice(low, 0, key)
}

function isOpenText(entry: Entry | undefined): entry is StreamedEntry {
  return (entry?.kind === "text" || entry?.kind === "reasoning") && !entry.done
}

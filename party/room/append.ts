import type { DraftEntry } from "../protocol/entry.ts"
import { FLUSH_INTERVAL_MS, MAX_MESSAGE_CHARS } from "../protocol/limits.ts"
import type { Report } from "../protocol/work.ts"
import { ingestSoon } from "./ingest-due.ts"
import { instant, type Step } from "./step.ts"

/** Numbers a version and lets it wait for the next flush, where only the newest per key remains. Returns its seq. */
export function appendEntry(step: Step, draft: DraftEntry): number {
  const { state } = step
  const seq = nextSeq(step)
  const firstSeq = firstSeqOf(step, draft.key) ?? seq
  state.pending.entries.delete(draft.key)
  state.pending.entries.set(draft.key, { draft, seq, firstSeq, at: instant(step) })
  return seq
}

export function appendReport(step: Step, report: Report): number {
  const seq = nextSeq(step)
  step.state.pending.reports.push({ seq, body: JSON.stringify(report) })
  return seq
}

/** At once when the last flush is long enough ago, else as soon as it is; a large heap never waits. */
export function flushSoon(step: Step): void {
  const { state, now } = step
  const since = now - state.lastFlushAt
  const waits = since >= 0 && since < FLUSH_INTERVAL_MS && state.pending.chars < MAX_MESSAGE_CHARS
  state.flushDueAt = waits ? state.lastFlushAt + FLUSH_INTERVAL_MS : now
}

function nextSeq(step: Step): number {
  const { state } = step
  state.dirty.add("log")
  flushSoon(step)
  ingestSoon(step)
  return ++state.meta.log.head
}

function firstSeqOf(step: Step, key: string): number | null {
  const { state, reader } = step
  const known = state.pending.entries.get(key) ?? state.openTexts.get(key) ?? reader.place(key)
  return known?.firstSeq ?? null
}

import { CLOSE } from "../protocol/close-code.ts"
import { parseCursor } from "../protocol/cursor.ts"
import { entrySchema } from "../protocol/entry.ts"
import { appendEntry } from "./append.ts"
import { close, type Step } from "./step.ts"

/**
 * Goes on numbering after what PostgreSQL holds, when this storage knows less: it is new, or was wiped. What it has
 * already written itself gets new numbers. Expects everything to be flushed.
 */
export function goOnFrom(step: Step, knownCursor: string): void {
  const { state, now, reader } = step
  const known = parseCursor(knownCursor)
  const { log } = state.meta
  const neverIngested = log.base.seq === 0 && log.ingestedSeq === 0
  const isAnotherLife = neverIngested && known.seq > 0 && known.epoch !== log.epoch
  if (known.seq <= log.head && !isAnotherLife) return

  const own = [...reader.entriesAfter(log.ingestedSeq)]
  const seq = Math.max(known.seq, log.head)
  // A new epoch, later than both, tells every cursor of an earlier life apart.
  const epoch =
    log.head === 0 && log.epoch > known.epoch ? log.epoch : Math.max(now, known.epoch + 1)
  state.meta.log = { epoch, head: seq, tail: seq, ingestedSeq: seq, base: { ...known, seq } }
  state.storedHead = seq
  state.dirty.add("log")
  for (const { body } of own) {
    const {
      seq: _seq,
      firstSeq: _firstSeq,
      at: _at,
      ...draft
    } = entrySchema.parse(JSON.parse(body))
    appendEntry(step, draft)
  }
  for (const connection of state.connections.values()) {
    if (connection.role === "viewer") {
      close(step, connection.id, CLOSE.tryAgainLater, "the log was numbered anew")
    }
  }
}

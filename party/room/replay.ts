import { type Cursor, formatCursor, parseCursor } from "../protocol/cursor.ts"
import type { Viewer } from "./connection.ts"
import { encodeFrames, type Piece } from "./frames.ts"
import { outageNews } from "./outage.ts"
import { runnerLink } from "./runner-link.ts"
import { attachViewer, sendFrame, sendNews } from "./send.ts"
import type { RoomState } from "./state.ts"
import type { Step } from "./step.ts"

/**
 * Sends everything after `since` and makes the viewer live in the same step, so nothing falls between (E3). Expects
 * everything to be flushed.
 */
export function replay(step: Step, viewer: Viewer, since: string) {
  const { state } = step
  const at = placeOf(state, parseCursor(since))
  if (at === null) return resync(step, viewer)
  const upTo = formatCursor({ epoch: state.meta.log.epoch, seq: state.storedHead })
  const { outage } = state
  sendNews(step, viewer, { type: "replay", upTo, runner: runnerLink(state), outage })
  goLive(step, viewer, at)
}

/** Goes on with a viewer that lagged, from its own place. */
export function catchUp(step: Step, viewer: Viewer, at: number) {
  if (at < step.state.meta.log.tail) return resync(step, viewer)
  goLive(step, viewer, at)
  sendNews(step, viewer, { type: "runner", link: runnerLink(step.state) })
  sendNews(step, viewer, outageNews(step.state))
}

function goLive(step: Step, viewer: Viewer, at: number): void {
  const frames = encodeFrames(at, step.state.storedHead, missedPieces(step, at))
  for (const frame of frames) if (!sendFrame(step, viewer, frame)) return
  viewer.feed = { state: "live" }
  attachViewer(step, viewer)
}

function* missedPieces({ state, reader }: Step, at: number): Generator<Piece> {
  for (const { seq, body } of reader.entriesAfter(at)) yield { seq, entry: body }
  for (const [key, { text, stored }] of state.openTexts) {
    if (text.length === stored) continue
    yield { seq: state.storedHead, delta: [key, stored, text.slice(stored)] }
  }
}

function resync(step: Step, viewer: Viewer): void {
  const { epoch, ingestedSeq, base } = step.state.meta.log
  viewer.feed = { state: "waiting" }
  attachViewer(step, viewer)
  const ingested = ingestedSeq > base.seq ? { epoch, seq: ingestedSeq } : base
  sendNews(step, viewer, { type: "resync", ingested: formatCursor(ingested) })
}

/** Where in this log a cursor stands; null when what follows it is not held here. */
function placeOf({ meta, storedHead }: RoomState, { epoch, seq }: Cursor): number | null {
  const { log } = meta
  const isOurs =
    epoch === log.epoch || seq === 0 || (epoch === log.base.epoch && seq === log.base.seq)
  return isOurs && seq >= log.tail && seq <= storedHead ? seq : null
}

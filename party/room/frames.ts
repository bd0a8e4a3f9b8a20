import { MAX_FRAME_CHARS } from "../protocol/limits.ts"
import type { Delta } from "../protocol/runner.ts"
import type { Grown } from "../protocol/viewer.ts"

/** What must travel in one frame: an entry (as JSON), or a text's new place in the log with the piece that it grew by. */
export type Piece = { seq: number; entry?: string; grown?: Grown; delta?: Delta }

export type Frame = { from: number; text: string }

type Lanes = { entries: string[]; grown: string[]; deltas: string[]; chars: number }

const emptyLanes = (): Lanes => ({ entries: [], grown: [], deltas: [], chars: 0 })

/**
 * Encodes the log from after `from` up to and with `to` as frames of at most {@link MAX_FRAME_CHARS} (one larger piece
 * travels alone). `pieces` come in the order of `seq` and are taken as they are needed.
 */
export function* encodeFrames(from: number, to: number, pieces: Iterable<Piece>): Generator<Frame> {
  let start = from
  let last = from
  let lanes = emptyLanes()
  for (const piece of pieces) {
    const added = lanesOf(piece)
    if (lanes.chars > 0 && lanes.chars + added.chars > MAX_FRAME_CHARS) {
      yield encode(start, last, lanes)
      start = last
      lanes = emptyLanes()
    }
    lanes.entries.push(...added.entries)
    lanes.grown.push(...added.grown)
    lanes.deltas.push(...added.deltas)
    lanes.chars += added.chars
    last = piece.seq
  }
  if (start < to || lanes.chars > 0) yield encode(start, to, lanes)
}

function lanesOf({ entry, grown, delta }: Piece): Lanes {
  const lanes = emptyLanes()
  if (entry !== undefined) lanes.entries.push(entry)
  if (grown !== undefined) lanes.grown.push(JSON.stringify(grown))
  if (delta !== undefined) lanes.deltas.push(JSON.stringify(delta))
  for (const json of [...lanes.entries, ...lanes.grown, ...lanes.deltas]) lanes.chars += json.length
  return lanes
}

function encode(from: number, to: number, { entries, grown, deltas }: Lanes): Frame {
  const lane = (name: string, items: string[]) =>
    items.length === 0 ? "" : `,"${name}":[${items.join(",")}]`
  const body = lane("entries", entries) + lane("grown", grown) + lane("deltas", deltas)
  return { from, text: `{"type":"frame","from":${from},"to":${to}${body}}` }
}

import type { Effect } from "./effects.ts"
import type { RoomInput } from "./input.ts"
import type { RoomReader } from "./reader.ts"
import type { RoomState } from "./state.ts"

/** `state` is the one that was given, changed in place: only the newest state of a room is ever of use. */
export type Step = { state: RoomState; effects: Effect[] }

/**
 * Decides what follows from one input. Deterministic given its arguments; `now` is milliseconds since 1970.
 */
export function reduce(
  state: RoomState,
  _input: RoomInput,
  _now: number,
  _reader: RoomReader,
): Step {
  return { state, effects: [] }
}

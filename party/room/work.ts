import type { AttemptRef, Claim } from "../protocol/work.ts"
import type { Outcome, Work } from "./meta.ts"
import type { RoomState } from "./state.ts"

export type LiveWork = Exclude<Work, { phase: "ended" }>

/** The attempt that has not ended, if any. */
export function liveWork({ meta }: RoomState): LiveWork | null {
  return meta.work === null || meta.work.phase === "ended" ? null : meta.work
}

export function liveClaim(state: RoomState): Claim | null {
  return liveWork(state)?.claim ?? null
}

export function lastOutcome({ meta }: RoomState): Outcome | null {
  return meta.work?.phase === "ended" ? meta.work.outcome : null
}

export function refOf({ promptId, attempt }: AttemptRef): AttemptRef {
  return { promptId, attempt }
}

export function isSame(one: AttemptRef, other: AttemptRef): boolean {
  return one.promptId === other.promptId && one.attempt === other.attempt
}

/** A runner that has said hello and whose sandbox reported itself ready: it can take work. */
export function runnerIsReady({ runner, meta }: RoomState): boolean {
  return runner !== null && meta.ended === null && meta.readyGeneration === meta.fence.generation
}

import type { RoomState } from "./state.ts"
import { note, type Step, toRunner } from "./step.ts"
import { type LiveWork, liveWork, refOf } from "./work.ts"

/** The runner ends a turn that is too long itself, brings it to rest and reports it; that takes a while. */
const TURN_MARGIN_MS = 10 * 60_000

/** A runner kills and restarts an agent that does not stop; by then it has. */
const STOP_MS = 60_000

/** Whether the runner of the live attempt owes something for too long: acceptance, the turn's end, or a stop (D8). */
export function isOverdue(state: RoomState, now: number): boolean {
  const live = liveWork(state)
  return live !== null && endOfPatience(live) <= now
}

/** When something is due to be done about the live attempt that its runner has not done. */
export function patienceTimes(state: RoomState, now: number): number[] {
  const live = liveWork(state)
  if (!live) return []
  const times = state.acceptanceAsked ? [] : [askAt(live)]
  return [...times, endOfPatience(live)].filter((at) => at > now && Number.isFinite(at))
}

/** A runner that does not accept in time is asked once before it counts as lost. */
export function askForAcceptance(step: Step): void {
  const { state, now } = step
  const live = liveWork(state)
  if (!live || state.acceptanceAsked || askAt(live) > now) return
  state.acceptanceAsked = true
  note(step, "acceptance-late", refOf(live.claim))
  toRunner(step, { type: "report", ...refOf(live.claim) })
}

const NEVER = Number.POSITIVE_INFINITY

function askAt({ phase, sentAt = NEVER, claim }: LiveWork): number {
  return phase === "sent" ? sentAt + claim.deadlines.acceptMs : NEVER
}

function endOfPatience(live: LiveWork): number {
  const { acceptedAt = NEVER, stopSentAt = NEVER, claim } = live
  return Math.min(
    askAt(live) + claim.deadlines.acceptMs,
    acceptedAt + claim.deadlines.turnMs + TURN_MARGIN_MS,
    stopSentAt + STOP_MS,
  )
}

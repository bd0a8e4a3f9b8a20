import type { Failure } from "../protocol/entry.ts"
import type { AttemptRef, Claim, ReportOf, TerminalState } from "../protocol/work.ts"
import { appendEntry, appendReport } from "./append.ts"
import { flush } from "./flush.ts"
import { ingestNow } from "./ingest-due.ts"
import type { Steer } from "./meta.ts"
import { errorEntries, promptEntry } from "./prompt-entry.ts"
import type { RoomState } from "./state.ts"
import { note, type Step, toRunner } from "./step.ts"
import { isSame, liveWork, refOf, runnerIsReady } from "./work.ts"

type SteerReport = ReportOf<
  "attempt.accepted" | "attempt.running" | "attempt.ended" | "attempt.returned"
>

export function findSteer({ meta }: RoomState, ref: AttemptRef): Steer | undefined {
  return meta.steers.find(({ claim }) => isSame(claim, ref))
}

/** Takes a steer in hand for its host. When that has ended, or is about to, the steer goes back at once (D14). */
export function joinHost(step: Step, claim: Claim, host: AttemptRef) {
  const { state } = step
  const steer: Steer = { phase: "assigned", claim }
  state.meta.steers.push(steer)
  state.dirty.add("steers")
  const live = liveWork(state)
  if (!live || live.stopRequested || !isSame(live.claim, host)) return returnSteer(step, steer)
  sendSteers(step, [steer])
}

/** Sends what the runner has not accepted, once it has accepted the host. Stored before it is sent (D4). */
export function sendSteers(step: Step, steers = step.state.meta.steers): void {
  const { state } = step
  const live = liveWork(state)
  const isHeld = live?.phase === "accepted" || live?.phase === "running"
  if (!isHeld || live.stopRequested || !runnerIsReady(state)) return
  const waiting = steers.filter(({ phase }) => phase === "assigned" || phase === "sent")
  if (waiting.length === 0) return
  for (const steer of waiting) steer.phase = "sent"
  state.dirty.add("steers")
  flush(step)
  for (const { claim } of waiting) toRunner(step, { type: "run", claim })
}

/** Applies what the runner says about a steer. Its entry stands where the agent took it (E6). */
export function takeSteerReport(step: Step, steer: Steer, report: SteerReport) {
  switch (report.type) {
    case "attempt.accepted":
      if (steer.phase === "accepted" || steer.phase === "running") return
      steer.phase = "accepted"
      break
    case "attempt.running":
      if (steer.phase === "running") return
      steer.phase = "running"
      appendEntry(step, promptEntry(steer.claim, "running", null))
      break
    case "attempt.ended":
      return endSteer(step, steer, report.state, report.error)
    case "attempt.returned":
      if (steer.phase !== "running") return returnSteer(step, steer)
      return note(step, "report-refused", { report: report.type, ...refOf(report) })
  }
  step.state.dirty.add("steers")
  appendReport(step, report)
  ingestNow(step)
}

/**
 * No steer outlives its host. What the runner has not accepted by its report of the host's end it never will; when the
 * room ends the host, a steer that was sent may have been taken, and nobody can tell any more.
 */
export function endSteers(
  step: Step,
  host: { state: TerminalState; error: Failure | null; reportedByRunner: boolean },
): void {
  for (const steer of [...step.state.meta.steers]) {
    const { phase } = steer
    if (phase === "running") endSteer(step, steer, host.state, host.error)
    else if (phase === "assigned" || (phase === "sent" && host.reportedByRunner)) {
      returnSteer(step, steer)
    } else endSteer(step, steer, "interrupted", host.error ?? UNSETTLED)
  }
}

const UNSETTLED: Failure = {
  reason: "steer-unsettled",
  message:
    "The turn that this prompt was to join ended before it was known whether the agent had read it. Retry it if it is still wanted.",
}

function endSteer(step: Step, steer: Steer, state: TerminalState, error: Failure | null): void {
  const { claim } = steer
  drop(step, steer)
  // What ended its host stands in their turn already.
  const own = error?.reason === UNSETTLED.reason ? error : null
  for (const entry of errorEntries(claim, state, own)) appendEntry(step, entry)
  appendReport(step, { type: "attempt.ended", ...refOf(claim), state, error })
  appendEntry(step, promptEntry(claim, state, error))
  ingestNow(step)
}

/** It was not taken, so its prompt waits again; the next claim is asked for after PostgreSQL knows. */
function returnSteer(step: Step, steer: Steer): void {
  const { work } = step.state.meta
  drop(step, steer)
  const seq = appendReport(step, { type: "attempt.returned", ...refOf(steer.claim) })
  if (work?.phase === "ended") {
    work.seq = seq
    step.state.dirty.add("work")
  }
  ingestNow(step)
}

function drop({ state }: Step, steer: Steer): void {
  state.meta.steers = state.meta.steers.filter((other) => other !== steer)
  state.dirty.add("steers")
}

import type { Failure } from "../protocol/entry.ts"
import type { AttemptRef, Claim, ReportOf, TerminalState } from "../protocol/work.ts"
import { appendEntry, appendReport } from "./append.ts"
import { flush } from "./flush.ts"
import { ingestBeginning, ingestNow } from "./ingest-due.ts"
import type { Outcome } from "./meta.ts"
import { errorEntries, promptEntry } from "./prompt-entry.ts"
import { endSteers, findSteer, joinHost, sendSteers, takeSteerReport } from "./steers.ts"
import { note, type Step, toRunner } from "./step.ts"
import { closeOpenParts } from "./timeline.ts"
import { isSame, type LiveWork, liveWork, refOf, runnerIsReady } from "./work.ts"

/** Takes a claim in hand and sends it when the runner is ready. Returns why not, or null; a repeat is harmless. */
export function assign(step: Step, claim: Claim): Failure | null {
  const { state, reader } = step
  const refusal = refusalOf(step, claim)
  if (refusal) return refusal
  const live = liveWork(state)
  if ((live && isSame(live.claim, claim)) || findSteer(state, claim)) return null
  if (live && !claim.steers) return failure("busy", "Another attempt is running in this session.")
  if (reader.lastAttempt(claim.promptId) >= claim.attempt) {
    return failure("attempt-over", "This attempt has ended.")
  }
  state.pending.attempts.push(refOf(claim))
  if (claim.steers) {
    joinHost(step, claim, claim.steers)
    if (!live) wantClaim(step)
  } else begin(step, claim)
  flush(step)
  return null
}

function begin(step: Step, claim: Claim): void {
  const { state } = step
  state.meta.work = { phase: "assigned", claim, stopRequested: false }
  state.acceptanceAsked = false
  state.dirty.add("work")
  appendEntry(step, promptEntry(claim, "dispatched", null))
  ingestBeginning(step)
  state.claim.dueAt = null
  sendRun(step)
}

/** Goes on where the attempt in hand stands: after each hello, and when the sandbox is ready (D5). */
export function resumeWork(step: Step) {
  const { state } = step
  const live = liveWork(state)
  if (!live) return wantClaim(step)
  if (!runnerIsReady(state)) return
  if (live.phase === "assigned" || live.phase === "sent") sendRun(step)
  else toRunner(step, { type: "report", ...refOf(live.claim) })
  sendSteers(step)
  if (live.stopRequested) sendStop(step, live)
}

/** Applies what the runner says about an attempt. What concerns no live attempt is only logged (D7, D9). */
export function takeAttemptReport(
  step: Step,
  report: ReportOf<"attempt.accepted" | "attempt.running" | "attempt.ended" | "attempt.returned">,
) {
  const { state } = step
  const steer = findSteer(state, report)
  if (steer) return takeSteerReport(step, steer, report)
  const live = liveWork(state)
  if (!live || !isSame(live.claim, report) || report.type === "attempt.returned") {
    return note(step, "report-refused", { report: report.type, ...refOf(report) })
  }
  live.acceptedAt ??= step.now
  switch (report.type) {
    case "attempt.accepted":
      if (live.phase === "accepted" || live.phase === "running") return
      live.phase = "accepted"
      break
    case "attempt.running":
      if (live.phase === "running") return
      live.phase = "running"
      appendEntry(step, promptEntry(live.claim, "running", null))
      break
    case "attempt.ended":
      endAttempt(step, { state: report.state, error: report.error, reportedByRunner: true })
      return
  }
  state.dirty.add("work")
  appendReport(step, report)
  sendSteers(step)
}

/** Asks the runner to stop, or ends an attempt that no runner has seen (D12). False when the attempt is unknown. */
export function stopAttempt(step: Step, ref: AttemptRef): boolean {
  const { state, reader } = step
  const live = liveWork(state)
  if (!live || !isSame(live.claim, ref)) return reader.lastAttempt(ref.promptId) >= ref.attempt
  if (live.phase === "assigned") giveUp(step, "stopped", null)
  else {
    live.stopRequested = true
    state.dirty.add("work")
    sendStop(step, live)
  }
  return true
}

/** Ends the live attempt from this side: its sandbox is given up, or the session is over. */
export function giveUpAttempt(step: Step, reason: Failure): void {
  const live = liveWork(step.state)
  if (live?.stopRequested) giveUp(step, "stopped", null)
  else if (live) giveUp(step, "interrupted", reason)
}

const giveUp = (step: Step, state: TerminalState, error: Failure | null) =>
  endAttempt(step, { state, error, reportedByRunner: false })

/** There may be something to claim; `postClaim` asks when this room may have it. */
export function wantClaim(step: Step): void {
  step.state.claim.dueAt ??= step.now
}

/** Stored before it is sent: after a crash the room knows that a runner may have it (D4). */
function sendRun(step: Step): void {
  const { state } = step
  const live = liveWork(state)
  if (!live || !runnerIsReady(state)) return
  if (live.phase === "assigned") {
    live.phase = "sent"
    live.sentAt = step.now
    state.dirty.add("work")
  }
  flush(step)
  toRunner(step, { type: "run", claim: live.claim })
}

function sendStop(step: Step, live: LiveWork): void {
  const { state } = step
  if (state.runner !== null && live.stopSentAt === undefined) {
    live.stopSentAt = step.now
    state.dirty.add("work")
  }
  flush(step)
  toRunner(step, { type: "stop", ...refOf(live.claim) })
}

/** The terminal entry is the attempt's last item, after all of its parts are closed (D10). */
function endAttempt(
  step: Step,
  end: { state: TerminalState; error: Failure | null; reportedByRunner: boolean },
): void {
  const live = liveWork(step.state)
  if (!live) return
  const { claim } = live
  const { state, error } = end
  const outcome: Outcome = { ...refOf(claim), state }
  closeOpenParts(step)
  endSteers(step, end)
  for (const entry of errorEntries(claim, state, error)) appendEntry(step, entry)
  appendReport(step, { type: "attempt.ended", ...outcome, error })
  const seq = appendEntry(step, promptEntry(claim, state, error))
  step.state.meta.work = { phase: "ended", generation: claim.generation, outcome, seq }
  step.state.dirty.add("work")
  ingestNow(step)
  wantClaim(step)
}

function refusalOf({ state }: Step, claim: Claim): Failure | null {
  const { generation } = state.meta.fence
  if (state.meta.ended) return failure("ended", "This session is over.")
  if (claim.generation > generation)
    return failure("not-fenced", "The room was not fenced to this generation.")
  if (claim.generation < generation)
    return failure("stale-generation", "A newer sandbox took over.")
  return null
}

const failure = (reason: string, message: string): Failure => ({ reason, message })

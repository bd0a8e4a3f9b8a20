import type { Failure, SessionStatus } from "#protocol/entry"
import type { BootPhase } from "#protocol/work"

/** The rows that a session's status follows from. */
export type StatusFacts = {
  ended: boolean
  /** The newest sandbox. */
  sandbox: {
    state: "requested" | "starting" | "ready" | "stopping" | "stopped"
    link: "absent" | "connected" | "lost"
    /** Boot phase that began last. */
    phase: BootPhase | null
    /** What hinders that phase or how far it is, in words; "" for nothing. */
    detail: string
    error: Failure | null
  } | null
  /** An earlier sandbox of the session was ready once: this one wakes it. */
  wakes: boolean
  /** The attempt that has not ended. */
  attempt: { state: "dispatched" | "running"; stopRequested: boolean } | null
  queued: number
  /** A queued prompt was meant to steer the running one. */
  steerQueued: boolean
  /** A steer was claimed and the agent has not taken it yet. */
  steerJoins: boolean
}

/** Reason of a sandbox that was ended together with the platform: nothing failed. */
export const PLATFORM_STOPPED = "platform-stopped"

export type StatusWithReason = { status: SessionStatus; reason: string }

const PHASE_REASON: Record<BootPhase, string> = {
  machine: "Starts the sandbox's machine.",
  clone: "Clones the repository.",
  agent: "Starts the agent.",
  "warm-up": "Warms the agent up.",
}

/** What a session is doing, and a sentence about what it waits for. */
export function sessionStatus(facts: StatusFacts): StatusWithReason {
  const { sandbox } = facts
  if (facts.ended) return { status: "ended", reason: "The session was ended; its history stays." }
  if (!sandbox) return { status: "queued", reason: "Waits for its first sandbox." }
  switch (sandbox.state) {
    case "requested":
      return {
        status: facts.wakes ? "waking" : "queued",
        reason: "Waits for its turn to start a sandbox.",
      }
    case "starting":
      return {
        status: facts.wakes ? "waking" : "booting",
        reason: startingReason(sandbox),
      }
    case "ready":
      return readyStatus(facts, sandbox.link)
    case "stopping":
    case "stopped":
      return stoppedStatus(sandbox.error)
  }
}

/** How far a clone is changes too often for a status; what hinders the machine does not. */
function startingReason({ phase, detail }: NonNullable<StatusFacts["sandbox"]>): string {
  const isMachine = phase === null || phase === "machine"
  return isMachine && detail !== "" ? detail : PHASE_REASON[phase ?? "machine"]
}

function readyStatus(facts: StatusFacts, link: "absent" | "connected" | "lost"): StatusWithReason {
  const waits = facts.queued > 0 || facts.steerJoins
  const busy = facts.attempt !== null || waits
  if (link !== "connected") {
    return {
      status: busy ? "working" : "idle",
      reason: "Lost contact with the sandbox; waits for it to come back.",
    }
  }
  if (facts.attempt) return { status: "working", reason: attemptReason(facts, facts.attempt) }
  if (waits) return { status: "working", reason: "Takes up the next prompt." }
  return { status: "idle", reason: "Waits for the next prompt." }
}

function attemptReason(
  { steerJoins, steerQueued }: StatusFacts,
  attempt: NonNullable<StatusFacts["attempt"]>,
): string {
  if (attempt.stopRequested) return "Stops the running prompt."
  if (steerJoins) return "Works on a prompt; a steer joins it at the agent's next step."
  if (steerQueued) return "Works on a prompt; the steer runs next, right after it."
  return "Works on a prompt."
}

function stoppedStatus(error: Failure | null): StatusWithReason {
  if (!error) return { status: "sleeping", reason: "The sandbox sleeps; the next prompt wakes it." }
  if (error.reason === PLATFORM_STOPPED) {
    return { status: "sleeping", reason: `${error.message} The next prompt wakes the session.` }
  }
  return {
    status: "failed",
    reason: `${error.message} Wake the session or send a prompt to retry.`,
  }
}

import type { AttemptRef, Claim, RunnerReport } from "#protocol/work"
import type { AttemptRecord, JournalRecord } from "./ports.ts"

/** Ended attempts that stay known, so that the room can ask for them again. */
const keptAttempts = 200

/** Of a later generation nobody knows what an earlier one has shown. */
export const emptyRecord = (generation: number): JournalRecord => ({
  agentSessionId: null,
  attempts: [],
  toldChanges: generation > 1,
})

export function journalled(claim: Claim, messageId: string): AttemptRecord {
  const { promptId, attempt, generation, turnId } = claim
  return {
    promptId,
    attempt,
    generation,
    turnId,
    messageId,
    state: "journalled",
    error: null,
    claim,
    stopRequested: false,
  }
}

export const isSame = (a: AttemptRef, b: AttemptRef) =>
  a.promptId === b.promptId && a.attempt === b.attempt

export const isAlive = ({ state }: AttemptRecord) => state === "journalled" || state === "running"

/** The attempt that an earlier runner left unfinished, if any. */
export function leftBehind({ attempts }: JournalRecord): AttemptRecord | undefined {
  return attempts.findLast((attempt) => isAlive(attempt) && attempt.claim?.steers === undefined)
}

/** The unfinished steers of an attempt. */
export function steersOf({ attempts }: JournalRecord, host: AttemptRef) {
  return attempts.flatMap((attempt) => {
    const { claim } = attempt
    return claim?.steers && isSame(claim.steers, host) ? [{ ...attempt, claim }] : []
  })
}

export function findAttempt(record: JournalRecord, ref: AttemptRef): AttemptRecord | undefined {
  return record.attempts.findLast((known) => isSame(known, ref))
}

/** The record with this version of an attempt. Ended attempts lose their claim: it will not be sent again. */
export function withAttempt(record: JournalRecord, attempt: AttemptRecord): JournalRecord {
  const kept = isAlive(attempt) ? attempt : { ...attempt, claim: null }
  const others = record.attempts.filter((known) => !isSame(known, attempt))
  return { ...record, attempts: [...others, kept].slice(-keptAttempts) }
}

/** What the room is told when it asks for an attempt that is known. */
export function reportsOf(attempt: AttemptRecord): RunnerReport[] {
  const ref = { promptId: attempt.promptId, attempt: attempt.attempt }
  const { state, error } = attempt
  if (state === "journalled") return [{ type: "attempt.accepted", ...ref }]
  if (state === "running") {
    return [
      { type: "attempt.accepted", ...ref },
      { type: "attempt.running", ...ref },
    ]
  }
  if (state === "returned") return [{ type: "attempt.returned", ...ref }]
  return [{ type: "attempt.ended", ...ref, state, error }]
}

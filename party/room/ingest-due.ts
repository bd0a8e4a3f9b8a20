import type { Retry } from "./state.ts"
import type { Step } from "./step.ts"

/** While text streams, PostgreSQL follows at this distance. */
const INGEST_EVERY_MS = 500

/** By then the agent has asked its model, and hardly a hosted model has answered: nobody waits for this machine. */
const TURN_BEGUN_MS = 250

const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 15_000

export function ingestSoon(step: Step): void {
  step.state.ingest.dueAt ??= step.now + INGEST_EVERY_MS
}

/** A turn's beginning is stored at a moment when that delays nobody's first word. */
export function ingestBeginning({ state, now }: Step): void {
  const { ingest } = state
  if (ingest.failures === 0) ingest.dueAt = Math.min(ingest.dueAt ?? Infinity, now + TURN_BEGUN_MS)
}

/** For what PostgreSQL acts on: it does not wait for company, but it does wait out a failure. */
export function ingestNow(step: Step): void {
  const { ingest } = step.state
  if (ingest.failures === 0) ingest.dueAt = step.now
}

export function retryLater(retry: Retry, reason: string, now: number): void {
  retry.dueAt = now + Math.min(FIRST_RETRY_MS * 2 ** retry.failures, LONGEST_RETRY_MS)
  retry.failures += 1
  retry.failure = reason
}

export function recovered(retry: Retry): void {
  retry.failures = 0
  retry.failure = null
}

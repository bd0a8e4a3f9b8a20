import {
  type DraftEntry,
  errorKey,
  type Failure,
  type PromptState,
  promptKey,
} from "../protocol/entry.ts"
import type { Claim, TerminalState } from "../protocol/work.ts"

/** A prompt as the timeline shows it. */
export function promptEntry(claim: Claim, state: PromptState, error: Failure | null): DraftEntry {
  const { promptId, attempt, turnId, text, author, attachments } = claim
  const key = promptKey(promptId)
  return { key, turnId, kind: "prompt", promptId, attempt, text, author, attachments, state, error }
}

/** Why an attempt ended, to be read where it happened. Stopping was the person's own wish and needs no word. */
export function errorEntries(
  { promptId, attempt, turnId }: Claim,
  state: TerminalState,
  error: Failure | null,
): DraftEntry[] {
  if (error === null || state === "stopped") return []
  return [{ key: errorKey(promptId, attempt), turnId, kind: "error", ...error }]
}

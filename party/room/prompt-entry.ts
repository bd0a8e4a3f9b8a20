import { type DraftEntry, type Failure, type PromptState, promptKey } from "../protocol/entry.ts"
import type { Claim } from "../protocol/work.ts"

/** A prompt as the timeline shows it. */
export function promptEntry(claim: Claim, state: PromptState, error: Failure | null): DraftEntry {
  const { promptId, attempt, turnId, text, author, attachments } = claim
  const key = promptKey(promptId)
  return { key, turnId, kind: "prompt", promptId, attempt, text, author, attachments, state, error }
}

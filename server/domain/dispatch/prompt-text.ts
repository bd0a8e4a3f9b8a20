import { MAX_PROMPT_CHARS } from "#protocol/limits"
import { storableText } from "#protocol/text"
import { Invalid, TooLarge } from "../errors.ts"

/** The text as it is stored, or an error that says why it cannot be a prompt. */
export function promptText(raw: string): string {
  if (raw.length > MAX_PROMPT_CHARS) {
    throw new TooLarge(
      "prompt-too-long",
      `A prompt holds up to ${MAX_PROMPT_CHARS} characters, this one has ${raw.length}. Put the rest into a file of the repository.`,
    )
  }
  if (raw.trim() === "") throw new Invalid("prompt-empty", "The prompt is empty. Write what to do.")
  return storableText(raw)
}

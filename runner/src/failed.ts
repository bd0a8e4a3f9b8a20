import type { Failure } from "#protocol/entry"

/** A failure that people are shown: `reason` is a stable word, the message says what happened and what to do next. */
export class Failed extends Error {
  readonly reason: string

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "Failed"
    this.reason = reason
  }
}

/** What is reported for `error`; one that nobody expected is named `unexpected`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failed) return { reason: error.reason, message: error.message }
  const message = error instanceof Error ? error.message : String(error)
  return { reason: "unexpected", message: `Something broke in the sandbox: ${message}` }
}

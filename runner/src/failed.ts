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
  const said = withoutPaths(error instanceof Error ? error.message : String(error))
  const message = `Something broke in the sandbox: ${said.replace(/\.$/, "")}. Try again; if it happens again, start a new session.`
  return { reason: "unexpected", message }
}

/** Where things lie on the machine is of no use outside of it; addresses of the web stay. */
export function withoutPaths(said: string): string {
  return said
    .replaceAll(/(['"])\/.*?\1/g, "$1…$1")
    .replaceAll(/(?<![\w./:…])\/[^\s'"`,;:()]+/g, "…")
}

/** A name fit to stand in a sentence: what is invisible, or would turn the direction of the words after it, is shown. */
export function shownName(name: string): string {
  return name.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd")
}

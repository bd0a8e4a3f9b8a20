import type { Failure } from "#protocol/entry"

/** What a prompt is told whose sandbox went while it ran; the failure is what is known of the sandbox. */
export function interruption({ reason, message }: Failure): Failure {
  return { reason, message: `${message} What came is kept, retry or go on.` }
}

export const SESSION_ENDED: Failure = {
  reason: "session-ended",
  message:
    "The session was ended before the prompt was done. What came is kept; start a new session to go on.",
}

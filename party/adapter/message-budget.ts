import { VIEWER_MESSAGES_AT_ONCE, VIEWER_MESSAGES_PER_SECOND } from "#protocol/limits"

/** Counts what each connection sends, as a bucket that fills with time. */
export class MessageBudget {
  readonly #left = new Map<string, { messages: number; atMs: number }>()

  /** Takes one message into account; false when there are too many. */
  take(connection: string, nowMs: number): boolean {
    const { messages, atMs } = this.#left.get(connection) ?? {
      messages: VIEWER_MESSAGES_AT_ONCE,
      atMs: nowMs,
    }
    const filled = messages + ((nowMs - atMs) / 1000) * VIEWER_MESSAGES_PER_SECOND
    const left = Math.min(VIEWER_MESSAGES_AT_ONCE, filled) - 1
    this.#left.set(connection, { messages: Math.max(0, left), atMs: nowMs })
    return left >= 0
  }

  forget(connection: string): void {
    this.#left.delete(connection)
  }
}

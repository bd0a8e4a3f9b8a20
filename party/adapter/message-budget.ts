/** How many messages a viewer may send: bursts of replayed pages are acknowledged, floods are not taken. */
const MESSAGES_PER_SECOND = 200
const BURST = 1_000

/** Counts what each connection sends, as a bucket that fills with time. */
export class MessageBudget {
  readonly #left = new Map<string, { messages: number; atMs: number }>()

  /** Takes one message into account; false when there are too many. */
  take(connection: string, nowMs: number): boolean {
    const { messages, atMs } = this.#left.get(connection) ?? { messages: BURST, atMs: nowMs }
    const filled = messages + ((nowMs - atMs) / 1000) * MESSAGES_PER_SECOND
    const left = Math.min(BURST, filled) - 1
    this.#left.set(connection, { messages: Math.max(0, left), atMs: nowMs })
    return left >= 0
  }

  forget(connection: string): void {
    this.#left.delete(connection)
  }
}

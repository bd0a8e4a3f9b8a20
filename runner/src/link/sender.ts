import { FLUSH_INTERVAL_MS, MAX_MESSAGE_CHARS } from "#protocol/limits"
import type { Delta } from "#protocol/runner"
import type { Outbox } from "../outbox/outbox.ts"
import type { Connection } from "./connection.ts"
import { DeltaQueue } from "./delta-queue.ts"

/** Room for a message's own fields around its items. */
const MAX_BATCH_CHARS = MAX_MESSAGE_CHARS - 1024

/** Text grows by half at most when JSON escapes it in practice; the rest is margin. */
const MAX_DELTAS_CHARS = MAX_MESSAGE_CHARS / 8

/** Characters sent and not yet acknowledged; more would only pile up in front of a slow or dead network. */
const WINDOW_CHARS = 4 * 1024 * 1024

/** Streamed text beyond this is dropped: the room asks for a checkpoint when it sees the gap. */
const MAX_WAITING_DELTA_CHARS = 1024 * 1024

/**
 * Sends the outbox over one welcomed connection, from the first item that the room lacks, and streamed text between
 * the items where it belongs.
 */
export class Sender {
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #deltas = new DeltaQueue()
  #sent: number
  #unacked: { upTo: number; chars: number }[] = []
  #running: Promise<void> | null = null
  #runAgain = false
  #lastDeltasAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null
  #stopped = false

  constructor(connection: Connection, outbox: Outbox) {
    this.#connection = connection
    this.#outbox = outbox
    this.#sent = outbox.acked
  }

  deltas(deltas: Delta[]): void {
    this.#deltas.add(this.#outbox.last, deltas)
    if (this.#deltas.chars > MAX_WAITING_DELTA_CHARS) this.#deltas.clear()
    this.wake()
  }

  /** Sends what has become possible to send. */
  wake(): void {
    if (this.#stopped) return
    if (this.#running) {
      this.#runAgain = true
      return
    }
    this.#runAgain = false
    this.#running = this.#sendAll().then(
      () => this.#rest(),
      (error: unknown) => {
        this.stop()
        this.#connection.close(1011, error instanceof Error ? error.message : String(error))
      },
    )
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  #rest(): void {
    this.#running = null
    if (this.#runAgain) this.wake()
  }

  async #sendAll(): Promise<void> {
    while (!this.#stopped) {
      const after = this.#deltas.after
      const upTo = Math.min(this.#outbox.stored, after ?? Number.POSITIVE_INFINITY)
      if (this.#sent < upTo) {
        if (this.#windowIsFull()) return
        await this.#sendItems(upTo)
      } else if (after !== null && after <= this.#sent) {
        if (this.#isTooSoon()) return
        this.#sendDeltas()
      } else return
    }
  }

  async #sendItems(upTo: number): Promise<void> {
    const from = this.#sent + 1
    const items = await this.#outbox.read(from, upTo, MAX_BATCH_CHARS)
    if (this.#stopped) return
    if (items.length === 0) throw new Error(`The outbox has lost item ${from}.`)
    const message = `{"type":"items","from":${from},"items":[${items.join(",")}]}`
    this.#sent += items.length
    this.#unacked.push({ upTo: this.#sent, chars: message.length })
    this.#connection.send(message)
  }

  #sendDeltas(): void {
    this.#lastDeltasAt = performance.now()
    this.#connection.send({ type: "deltas", deltas: this.#deltas.take(MAX_DELTAS_CHARS) })
  }

  /** Text alone is collected for one flush of the room; text with items behind it goes at once. */
  #isTooSoon(): boolean {
    const waitMs = this.#lastDeltasAt + FLUSH_INTERVAL_MS - performance.now()
    if (waitMs <= 0 || this.#sent < this.#outbox.stored) return false
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.wake()
    }, waitMs)
    return true
  }

  #windowIsFull(): boolean {
    const { acked } = this.#outbox
    this.#unacked = this.#unacked.filter(({ upTo }) => upTo > acked)
    return this.#unacked.reduce((sum, { chars }) => sum + chars, 0) > WINDOW_CHARS
  }
}

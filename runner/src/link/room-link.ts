import { CLOSE } from "#protocol/close-code"
import type { Delta, FromRunnerOf, ToRunner, ToRunnerOf } from "#protocol/runner"
import { PROTOCOL_VERSION } from "#protocol/version"
import type { AttemptRef } from "#protocol/work"
import type { Log } from "../log.ts"
import type { Outbox } from "../outbox/outbox.ts"
import { reconnectDelayMs } from "./backoff.ts"
import { CONNECTION_TIMES, Connection, type ConnectionTimes } from "./connection.ts"
import { Sender } from "./sender.ts"
import type { OpenSocket } from "./socket.ts"

/** A connection that lived this long was a good one: the next try after it comes soon. */
const GOOD_CONNECTION_MS = 5_000

/** After these nothing gets better by trying again: a runner has one token and speaks one version. */
const FINAL_CODES: ReadonlySet<number> = new Set([
  CLOSE.badMessage,
  CLOSE.tooLarge,
  CLOSE.unauthorized,
  CLOSE.forbidden,
  CLOSE.superseded,
  CLOSE.ended,
  CLOSE.wrongVersion,
])

/** What the room asks of the runner, without the messages that the link handles itself. */
export type RoomOrder = Exclude<ToRunner, { type: "welcome" | "ack" }>

export type RoomLinkOptions = {
  /** `ws(s)://…/parties/session/<sessionId>`. */
  url: string
  token: string
  generation: number
  outbox: Outbox
  openSocket: OpenSocket
  log: Log
  /** The attempt that has not ended yet. */
  currentAttempt(): AttemptRef | null
  /** The room has welcomed this runner; streamed text may have been lost since the last time. */
  onWelcome(): void
  onOrder(order: RoomOrder): void
  /** The room will not have this runner again. */
  onFinal(code: number, reason: string): void
  times?: ConnectionTimes
}

/** The runner's lasting connection to its room: reconnects, resumes the outbox where the room stands, and gives up only on a final close code. */
export class RoomLink {
  readonly #options: RoomLinkOptions
  #connection: Connection | null = null
  #sender: Sender | null = null
  #greetedAs = ""
  #openedAt = 0
  #lostAt = 0
  #failures = 0
  #retry: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: RoomLinkOptions) {
    this.#options = options
    options.outbox.onChange(() => this.#sender?.wake())
  }

  start(): void {
    this.#connect()
  }

  get connected(): boolean {
    return this.#sender !== null
  }

  /** Whether the room was out of reach at any time since then, on the clock of `performance.now()`. */
  lostSince(atMs: number): boolean {
    return !this.connected || this.#lostAt >= atMs
  }

  /** Streamed text goes to a connected room or nowhere; checkpoints heal what is lost. */
  deltas(deltas: Delta[]): void {
    this.#sender?.deltas(deltas)
  }

  answer(id: string, result: FromRunnerOf<"answer">["result"]): void {
    this.#connection?.send({ type: "answer", id, result })
  }

  close(): void {
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
    this.#connection?.close(1000, "the runner stops")
  }

  #connect(): void {
    const { url, token, openSocket, log, times = CONNECTION_TIMES } = this.#options
    this.#openedAt = performance.now()
    const connection: Connection = new Connection({
      url,
      token,
      openSocket,
      log,
      times,
      onOpen: () => this.#hello(connection),
      onMessage: (message) => this.#received(connection, message),
      onClosed: (code, reason) => this.#lost(code, reason),
    })
    this.#connection = connection
  }

  #hello(connection: Connection): void {
    const { generation, outbox, currentAttempt } = this.#options
    const { streamId } = outbox
    this.#greetedAs = streamId
    const attempt = currentAttempt()
    connection.send({ type: "hello", protocol: PROTOCOL_VERSION, generation, streamId, attempt })
  }

  #received(connection: Connection, message: ToRunner): void {
    if (message.type === "welcome") this.#welcomed(connection, message)
    else if (message.type === "ack") this.#options.outbox.ack(message.acked)
    else this.#options.onOrder(message)
  }

  #welcomed(connection: Connection, { acked, protocol }: ToRunnerOf<"welcome">): void {
    const { outbox, log } = this.#options
    if (protocol !== PROTOCOL_VERSION) {
      connection.close(CLOSE.wrongVersion, `the room speaks version ${protocol}`)
    } else if (this.#greetedAs !== outbox.streamId) {
      connection.close(1000, "a new stream began meanwhile")
    } else if (acked < outbox.acked || acked > outbox.stored) {
      log("room and outbox disagree", { room: acked, acked: outbox.acked, stored: outbox.stored })
      outbox.ack(acked)
      outbox.renew().then(
        () => connection.close(1000, "a new stream begins"),
        (error: unknown) => connection.close(1011, String(error)),
      )
    } else {
      outbox.ack(acked)
      this.#sender = new Sender(connection, outbox)
      log("room connected", { acked, waiting: outbox.last - acked })
      this.#options.onWelcome()
      this.#sender.wake()
    }
  }

  #lost(code: number, reason: string): void {
    this.#sender?.stop()
    this.#sender = null
    this.#connection = null
    this.#lostAt = performance.now()
    if (this.#closed) return
    this.#options.log("room disconnected", { code, reason })
    if (FINAL_CODES.has(code)) {
      this.#closed = true
      this.#options.onFinal(code, reason)
      return
    }
    const livedMs = performance.now() - this.#openedAt
    this.#failures = livedMs > GOOD_CONNECTION_MS ? 0 : this.#failures + 1
    const delayMs = reconnectDelayMs(this.#failures, Math.random())
    this.#retry = setTimeout(() => this.#connect(), delayMs)
  }
}

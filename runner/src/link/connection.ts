import { PING_INTERVAL_MS } from "#protocol/limits"
import { type FromRunner, type ToRunner, toRunnerSchema } from "#protocol/runner"
import type { Log } from "../log.ts"
import type { OpenSocket, Socket } from "./socket.ts"

export type ConnectionTimes = {
  /** From the start to the open socket, and from there to the room's first message. */
  openMs: number
  pingMs: number
  /** From a ping to any word of the room. With `pingMs` it is how long a dead network goes unnoticed. */
  pongMs: number
}

export const CONNECTION_TIMES: ConnectionTimes = {
  openMs: 8_000,
  pingMs: PING_INTERVAL_MS,
  pongMs: 4_000,
}

export type ConnectionOptions = {
  url: string
  token: string
  openSocket: OpenSocket
  times: ConnectionTimes
  log: Log
  onOpen(): void
  onMessage(message: ToRunner): void
  /** Once, whoever ended it. 1006 when the network did or was given up. */
  onClosed(code: number, reason: string): void
}

const GONE = 1006

type Awaited = "open" | "welcome" | "pong"

const MISSING: Record<Awaited, string> = {
  open: "the room did not answer",
  welcome: "the room did not say welcome",
  pong: "the room fell silent",
}

/** One socket to the room, from the attempt to open it to its end, and the proof that the room still hears. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  #awaited: { what: Awaited; deadline: NodeJS.Timeout } | null = null
  #ping: NodeJS.Timeout | null = null
  #ended = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#await("open", options.times.openMs)
    this.#socket = options.openSocket(
      options.url,
      { authorization: `Bearer ${options.token}` },
      {
        opened: () => this.#opened(),
        message: (text) => this.#heard(text),
        closed: (code, reason) => this.#end(code, reason),
      },
    )
  }

  /** Sends one message, given as an object or as its JSON. Nothing happens once the connection has ended. */
  send(message: FromRunner | string): void {
    if (this.#ended) return
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message))
  }

  close(code: number, reason: string): void {
    if (this.#ended) return
    this.#socket.close(code, reason)
    this.#end(code, reason)
  }

  #opened(): void {
    if (this.#ended) return
    this.#await("welcome", this.#options.times.openMs)
    this.#ping = setInterval(() => {
      this.send("ping")
      if (!this.#awaited) this.#await("pong", this.#options.times.pongMs)
    }, this.#options.times.pingMs)
    this.#options.onOpen()
  }

  #heard(text: string): void {
    if (this.#ended) return
    // The platform answers pings by itself, also for a room that hangs before its welcome.
    if (text === "pong" && this.#awaited?.what === "welcome") return
    this.#awaitNothing()
    if (text === "pong") return
    const message = toRunnerSchema.safeParse(parseJson(text))
    if (message.success) this.#options.onMessage(message.data)
    else this.#options.log("room sent something unknown", { text: text.slice(0, 200) })
  }

  #await(what: Awaited, withinMs: number): void {
    this.#awaitNothing()
    this.#awaited = { what, deadline: setTimeout(() => this.#giveUp(MISSING[what]), withinMs) }
  }

  #awaitNothing(): void {
    if (this.#awaited) clearTimeout(this.#awaited.deadline)
    this.#awaited = null
  }

  #giveUp(reason: string): void {
    if (this.#ended) return
    this.#socket.terminate()
    this.#end(GONE, reason)
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#awaitNothing()
    if (this.#ping) clearInterval(this.#ping)
    this.#options.onClosed(code, reason)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

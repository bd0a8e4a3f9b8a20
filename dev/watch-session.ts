import { PartySocket } from "partysocket"
import { CLOSE } from "#protocol/close-code"
import { parseCursor } from "#protocol/cursor"
import type { Entry } from "#protocol/entry"
import {
  LEASE_RENEWAL_MS,
  PING_INTERVAL_MS,
  SEEN_EVERY_CHARS,
  SEEN_INTERVAL_MS,
} from "#protocol/limits"
import { applyFrame, applyPage, emptyLog, type SessionLog, sinceOf } from "#protocol/session-log"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import { type FromViewer, type ToViewer, toViewerSchema } from "#protocol/viewer"

const PAGE_LIMIT = 500
const FINAL_CODES: readonly number[] = [CLOSE.badMessage, CLOSE.forbidden, CLOSE.wrongVersion]

/** What a watcher asks of the API. */
export type WatchedApi = {
  connect: () => Promise<{ url: string; ticket: string }>
  page: (
    since: string,
    limit: number,
  ) => Promise<{ items: Entry[]; upTo: string; hasMore: boolean }>
}

export type Watch = {
  readonly log: SessionLog
  /** Resolves when `holds` is true of the log; checked after each message. Rejects at the deadline. */
  until: (what: string, holds: (log: SessionLog) => boolean, withinMs: number) => Promise<void>
  close: () => void
}

type Heard = (message: ToViewer, log: SessionLog) => void

/** Watches a session as a browser does: stock partysocket, fresh ticket per connection, replay of what was missed. */
export async function watchSession(api: WatchedApi, heard: Heard = () => {}): Promise<Watch> {
  return new SessionWatch(api, await api.connect(), heard)
}

class SessionWatch implements Watch {
  log = emptyLog()
  readonly #api: WatchedApi
  readonly #heard: Heard
  readonly #socket: PartySocket
  readonly #timers: NodeJS.Timeout[]
  readonly #waiting = new Set<() => void>()
  /** Frames wait their turn behind a resync, which reads pages. */
  #queue = Promise.resolve()
  #ticket: string | null
  /** Characters of this connection's frames, and how many of them the room was told of. */
  #received = 0
  #reported = 0
  /** Between a hello and its answer, frames belong to a place that this log is not at. */
  #answered = false

  constructor(api: WatchedApi, { url, ticket }: { url: string; ticket: string }, heard: Heard) {
    this.#api = api
    this.#heard = heard
    this.#ticket = ticket
    this.#socket = this.#open(new URL(url))
    this.#timers = [
      setInterval(() => this.#isOpen() && this.#socket.send("ping"), PING_INTERVAL_MS),
      setInterval(() => this.#reportSeen(), SEEN_INTERVAL_MS),
      setInterval(() => void this.#renew(), LEASE_RENEWAL_MS),
    ]
  }

  until(what: string, holds: (log: SessionLog) => boolean, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(deadline)
        this.#waiting.delete(check)
        act()
      }
      const check = () => {
        if (holds(this.log)) finish(resolve)
      }
      const late = () => reject(new Error(`Not within ${withinMs / 1000} s: ${what}`))
      const deadline = setTimeout(() => finish(late), withinMs)
      this.#waiting.add(check)
      check()
    })
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#socket.close()
  }

  #open({ host, pathname, protocol }: URL): PartySocket {
    const socket = new PartySocket({
      host,
      room: pathname.split("/").at(-1) ?? "",
      party: "session",
      protocol: protocol === "wss:" || protocol === "https:" ? "wss" : "ws",
      minReconnectionDelay: 200,
      maxReconnectionDelay: 1_000,
      protocols: async () => [SUBPROTOCOL, await this.#takeTicket()],
    })
    socket.addEventListener("open", () => {
      this.#received = 0
      this.#reported = 0
    })
    socket.addEventListener("message", ({ data }: MessageEvent<string>) => this.#take(data))
    socket.addEventListener("close", ({ code }) => {
      if (FINAL_CODES.includes(code)) socket.close()
    })
    return socket
  }

  async #takeTicket(): Promise<string> {
    const ticket = this.#ticket ?? (await this.#api.connect()).ticket
    this.#ticket = null
    return ticket
  }

  #take(data: string): void {
    if (data === "pong") return
    this.#received += data.length
    if (this.#received - this.#reported > SEEN_EVERY_CHARS) this.#reportSeen()
    const message = toViewerSchema.parse(JSON.parse(data))
    // A page that cannot be read now is read after the next hello.
    const again = () => this.#socket.reconnect()
    this.#queue = this.#queue.then(() => this.#apply(message)).catch(again)
  }

  async #apply(message: ToViewer): Promise<void> {
    if (message.type === "welcome") this.#hello()
    else if (message.type === "resync") {
      this.log = await readPages(this.#api, this.log, message.ingested)
      this.#hello()
    } else {
      this.#answered ||= message.type === "replay"
      const next = this.#answered ? applyFrame(this.log, message) : { ...this.log, changed: [] }
      if (next === "gap") this.#hello()
      else this.log = next
    }
    this.#heard(message, this.log)
    for (const check of [...this.#waiting]) check()
  }

  #hello(): void {
    this.#answered = false
    this.#send({ type: "hello", protocol: PROTOCOL_VERSION, since: sinceOf(this.log) })
  }

  #reportSeen(): void {
    if (this.#received === this.#reported || !this.#isOpen()) return
    this.#reported = this.#received
    this.#send({ type: "seen", received: this.#received })
  }

  /** Without a fresh ticket the room ends the lease, and the next connection brings one. */
  async #renew(): Promise<void> {
    const fresh = await this.#api.connect().catch(() => null)
    if (fresh && this.#isOpen()) this.#send({ type: "renew", ticket: fresh.ticket })
  }

  #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  #send(message: FromViewer): void {
    this.#socket.send(JSON.stringify(message))
  }
}

async function readPages(api: WatchedApi, held: SessionLog, ingested: string): Promise<SessionLog> {
  const target = parseCursor(ingested)
  let log = held.cursor.epoch === target.epoch ? held : emptyLog()
  for (;;) {
    const page = await api.page(log.cursor.seq === 0 ? "0" : sinceOf(log), PAGE_LIMIT)
    log = applyPage(log, page.items, page.upTo)
    if (!page.hasMore && log.cursor.seq >= target.seq) return log
  }
}

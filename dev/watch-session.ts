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

/** Watches a session as a browser does: stock partysocket, fresh ticket per connection, replay of what was missed. */
export async function watchSession(
  api: WatchedApi,
  onMessage: (message: ToViewer, log: SessionLog) => void = () => {},
): Promise<Watch> {
  const first = await api.connect()
  const { host, pathname, protocol } = new URL(first.url)
  const room = pathname.split("/").at(-1) ?? ""
  let ticket: string | null = first.ticket
  const socket = new PartySocket({
    host,
    room,
    party: "session",
    protocol: protocol === "wss:" || protocol === "https:" ? "wss" : "ws",
    minReconnectionDelay: 200,
    maxReconnectionDelay: 1_000,
    protocols: async () => {
      const fresh = ticket ?? (await api.connect()).ticket
      ticket = null
      return [SUBPROTOCOL, fresh]
    },
  })

  let log = emptyLog()
  let received = 0
  let reported = 0
  const waiting = new Set<() => void>()
  const send = (message: FromViewer) => socket.send(JSON.stringify(message))
  // Between a hello and its answer, frames belong to a place that this log is not at.
  let answered = false
  const hello = () => {
    answered = false
    send({ type: "hello", protocol: PROTOCOL_VERSION, since: sinceOf(log) })
  }
  const reportSeen = () => {
    if (received === reported || socket.readyState !== WebSocket.OPEN) return
    reported = received
    send({ type: "seen", received })
  }

  const apply = async (message: ToViewer) => {
    if (message.type === "welcome") hello()
    else if (message.type === "resync") {
      log = await readPages(api, log, message.ingested)
      hello()
    } else {
      answered ||= message.type === "replay"
      const next = answered ? applyFrame(log, message) : { ...log, changed: [] }
      if (next === "gap") hello()
      else log = next
    }
    onMessage(message, log)
    for (const check of [...waiting]) check()
  }

  // Frames wait their turn behind a resync, which reads pages.
  let queue = Promise.resolve()
  socket.addEventListener("open", () => {
    received = 0
    reported = 0
  })
  socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
    if (data === "pong") return
    received += data.length
    if (received - reported > SEEN_EVERY_CHARS) reportSeen()
    const message = toViewerSchema.parse(JSON.parse(data))
    // A page that cannot be read now is read after the next hello.
    queue = queue.then(() => apply(message)).catch(() => socket.reconnect())
  })
  socket.addEventListener("close", ({ code }) => {
    if (FINAL_CODES.includes(code)) socket.close()
  })
  const ping = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN) socket.send("ping")
  }, PING_INTERVAL_MS)
  const seen = setInterval(reportSeen, SEEN_INTERVAL_MS)
  const renewal = setInterval(async () => {
    if (socket.readyState === WebSocket.OPEN)
      send({ type: "renew", ticket: (await api.connect()).ticket })
  }, LEASE_RENEWAL_MS)

  return {
    get log() {
      return log
    },
    until: (what, holds, withinMs) =>
      new Promise((resolve, reject) => {
        const finish = (act: () => void) => {
          clearTimeout(deadline)
          waiting.delete(check)
          act()
        }
        const check = () => {
          if (holds(log)) finish(resolve)
        }
        const deadline = setTimeout(
          () => finish(() => reject(new Error(`Not within ${withinMs / 1000} s: ${what}`))),
          withinMs,
        )
        waiting.add(check)
        check()
      }),
    close: () => {
      clearInterval(ping)
      clearInterval(seen)
      clearInterval(renewal)
      socket.close()
    },
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

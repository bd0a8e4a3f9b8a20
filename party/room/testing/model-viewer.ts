import { formatCursor, parseCursor } from "../../protocol/cursor.ts"
import type { Entry } from "../../protocol/entry.ts"
import {
  applyFrame,
  applyPage,
  emptyLog,
  type SessionLog,
  sinceOf,
} from "../../protocol/session-log.ts"
import { PROTOCOL_VERSION } from "../../protocol/version.ts"
import { type Outage, type ToViewer, toViewerSchema } from "../../protocol/viewer.ts"
import type { ModelServer } from "./model-server.ts"
import { ticketOf } from "./samples.ts"
import { type Socket, say, type World } from "./world.ts"

/** A browser: it keeps its log over reconnects and asks again for what it lacks. */
export class ModelViewer {
  log: SessionLog = emptyLog()
  socket: Socket | null = null
  /** What it was told last of posts that fail. */
  outage: Outage | null = null
  #asked = false
  #received = 0
  readonly #world: World
  readonly #server: ModelServer

  constructor(world: World, server: ModelServer) {
    this.#world = world
    this.#server = server
  }

  connect(): void {
    if (this.socket && !this.socket.closed) return
    this.#asked = false
    this.#received = 0
    this.socket = this.#world.openViewer(ticketOf(this.#world))
  }

  disconnect(): void {
    if (this.socket) this.#world.disconnect(this.socket)
    this.socket = null
  }

  /** Reads so many messages. */
  read(count = Number.POSITIVE_INFINITY): void {
    const texts = this.socket?.toClient.splice(0, count) ?? []
    for (const text of texts) {
      this.#received += text.length
      this.#take(toViewerSchema.parse(JSON.parse(text)))
    }
  }

  /** Says how much has arrived, and lets the room hear it. */
  seen(): void {
    if (!this.socket || this.socket.closed) return
    say(this.socket, { type: "seen", received: this.#received })
    this.flush()
  }

  /** Lets the room hear what this viewer said. */
  flush(): void {
    while (this.socket && !this.socket.closed && this.socket.toRoom.length > 0) {
      this.#world.deliverToRoom(this.socket)
    }
  }

  #take(message: ToViewer) {
    if (message.type === "welcome") return this.#hello()
    if (message.type === "resync") return this.#resync(message.ingested)
    if (message.type === "replay") this.#asked = false
    if (message.type === "replay" || message.type === "outage") this.outage = message.outage
    if (message.type === "frame" && this.#asked) return
    const before = this.log
    const texts = new Map(openTexts(before.entries))
    const next = applyFrame(before, message)
    if (next === "gap") return this.#hello()
    this.log = next
    for (const key of next.changed) checkNotShorter(key, texts.get(key), next.entries.get(key))
  }

  #hello(): void {
    if (!this.socket || this.#asked) return
    this.#asked = true
    say(this.socket, { type: "hello", protocol: PROTOCOL_VERSION, since: sinceOf(this.log) })
  }

  /** Reads `timeline.page` to its end; what another epoch held is dropped. */
  #resync(ingested: string): void {
    const { epoch, ingestedSeq } = this.#server
    if (parseCursor(ingested).seq > ingestedSeq)
      throw new Error("resync names what is not ingested")
    const from = this.log.cursor.epoch === epoch ? this.log : emptyLog()
    const items = [...this.#server.entries.values()]
      .filter(({ seq }) => seq > from.cursor.seq)
      .sort((a, b) => a.seq - b.seq)
    this.log = applyPage(from, items, formatCursor({ epoch, seq: ingestedSeq }))
    this.#asked = false
    this.#hello()
  }
}

function* openTexts(entries: Map<string, Entry>): Generator<[string, string]> {
  for (const [key, entry] of entries) {
    if ((entry.kind === "text" || entry.kind === "reasoning") && !entry.done)
      yield [key, entry.text]
  }
}

/** I6: while a text is open it only grows. */
function checkNotShorter(key: string, before: string | undefined, entry: Entry | undefined): void {
  if (before === undefined || !entry || !("text" in entry)) return
  if (entry.text.length < before.length && !("done" in entry && entry.done)) {
    throw new Error(`[I6] ${key} shrank from ${before.length} to ${entry.text.length}`)
  }
}

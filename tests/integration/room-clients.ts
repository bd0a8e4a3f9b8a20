import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { PartySocket } from "partysocket"
import { WebSocket } from "ws"
import { type FromRunner, type ToRunner, toRunnerSchema } from "#protocol/runner"
import { applyFrame, emptyLog, type SessionLog, sinceOf } from "#protocol/session-log"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import { type FromViewer, type ToViewer, toViewerSchema } from "#protocol/viewer"
import type { OutboxItem } from "#protocol/work"
import { type ServerSigner, sessionAudience, sessionPath } from "./start-rooms.ts"

const deadlineMs = 20_000

/** Rejects what does not come in time, so that no test hangs. */
export async function soon<Value>(what: string, promise: Promise<Value>, ms = deadlineMs) {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what} did not happen in ${ms} ms`)), ms)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

type Watch = { sees: () => boolean; resolve: () => void }

/** Something that waits for what it was told to become true. */
class Watcher {
  #watches: Watch[] = []

  protected changed(): void {
    for (const watch of this.#watches) if (watch.sees()) watch.resolve()
    this.#watches = this.#watches.filter((watch) => !watch.sees())
  }

  until(what: string, sees: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (sees()) resolve()
    else this.#watches.push({ sees, resolve })
    return soon(what, promise)
  }
}

/** A viewer on a stock partysocket: it says hello, keeps the log, counts what it received, and comes back by itself. */
export class Viewer extends Watcher {
  readonly socket: PartySocket
  /** Every text frame as it came, over all of its connections. */
  readonly frames: string[] = []
  readonly messages: ToViewer[] = []
  readonly closes: number[] = []
  log: SessionLog = emptyLog()
  /** While true nothing is reported as seen. */
  isSlow = false
  #received = 0

  constructor(rooms: { url: string }, signer: ServerSigner, sessionId: string) {
    super()
    this.socket = new PartySocket({
      host: new URL(rooms.url).host,
      party: "session",
      room: sessionId,
      protocol: "ws",
      protocols: async () => [SUBPROTOCOL, await signer.ticket(sessionAudience(sessionId))],
      WebSocket,
      minReconnectionDelay: 50,
      maxReconnectionDelay: 200,
    })
    this.socket.addEventListener("open", () => {
      this.#received = 0
      this.#hello()
    })
    this.socket.addEventListener("message", ({ data }) => this.#take(String(data)))
    this.socket.addEventListener("close", ({ code }) => {
      this.closes.push(code)
      this.changed()
    })
  }

  say(message: FromViewer): void {
    this.socket.send(JSON.stringify(message))
  }

  /** Tells the room that everything has arrived. */
  seen(): void {
    this.say({ type: "seen", received: this.#received })
  }

  sees(what: string, test: (log: SessionLog) => boolean): Promise<void> {
    return this.until(what, () => test(this.log))
  }

  hears(type: ToViewer["type"], count = 1): Promise<void> {
    const heard = () => this.messages.filter((message) => message.type === type).length >= count
    return this.until(`"${type}"`, heard)
  }

  text(key: string): string | null {
    const entry = this.log.entries.get(key)
    return entry && "text" in entry ? entry.text : null
  }

  leave(): void {
    this.socket.close()
  }

  #hello(): void {
    this.say({ type: "hello", protocol: PROTOCOL_VERSION, since: sinceOf(this.log) })
  }

  #take(text: string): void {
    this.frames.push(text)
    this.#received += text.length
    const message = toViewerSchema.parse(JSON.parse(text))
    this.messages.push(message)
    const next = applyFrame(this.log, message)
    if (next === "gap") this.#hello()
    else this.log = next
    if (!this.isSlow) this.seen()
    this.changed()
  }
}

/** A runner as the room sees it: its outbox is sent again from what was acknowledged. */
export class TestRunner extends Watcher {
  readonly streamId = randomUUID()
  readonly messages: ToRunner[] = []
  readonly closes: number[] = []
  readonly outbox: OutboxItem[] = []
  acked = 0
  #socket: WebSocket | null = null
  #isWelcome = false
  readonly #url: string
  readonly #token: string
  readonly #generation: number

  constructor(rooms: { url: string }, sessionId: string, token: string, generation = 1) {
    super()
    this.#url = rooms.url.replace("http", "ws") + sessionPath(sessionId)
    this.#token = token
    this.#generation = generation
  }

  /** Connects and says hello; resolves with the room's welcome. */
  async connect(): Promise<void> {
    const headers = { authorization: `Bearer ${this.#token}` }
    const socket = new WebSocket(this.#url, [SUBPROTOCOL], { headers })
    this.#socket = socket
    this.#isWelcome = false
    socket.on("message", (data) => this.#take(String(data)))
    socket.on("close", (code) => {
      if (this.#socket === socket) this.#isWelcome = false
      this.closes.push(code)
      this.changed()
    })
    socket.on("error", () => {})
    await soon("the runner's connection", once(socket, "open"))
    const welcomes = this.#count("welcome")
    const { streamId } = this
    const generation = this.#generation
    const hello = { type: "hello", protocol: PROTOCOL_VERSION, generation, streamId, attempt: null }
    socket.send(JSON.stringify(hello))
    await this.until("the room's welcome", () => this.#count("welcome") > welcomes)
  }

  /** Says it if the room has welcomed this connection, as a runner does. */
  say(message: FromRunner): void {
    if (this.#isWelcome) this.#socket?.send(JSON.stringify(message))
  }

  sayText(text: string): void {
    this.#socket?.send(text)
  }

  /** Adds items to the outbox and sends them if there is a connection. */
  post(...items: OutboxItem[]): void {
    const from = this.outbox.length + 1
    this.outbox.push(...items)
    this.say({ type: "items", from, items })
  }

  acknowledged(count = this.outbox.length): Promise<void> {
    return this.until(`the acknowledgement of ${count} items`, () => this.acked >= count)
  }

  told(type: ToRunner["type"]): Promise<void> {
    return this.until(`"${type}"`, () => this.#count(type) > 0)
  }

  disconnect(): void {
    this.#socket?.terminate()
  }

  ping(): void {
    this.#socket?.send("ping")
  }

  #resend(): void {
    const items = this.outbox.slice(this.acked)
    if (items.length > 0) this.say({ type: "items", from: this.acked + 1, items })
  }

  #take(text: string): void {
    if (text === "pong") return
    const message = toRunnerSchema.parse(JSON.parse(text))
    this.messages.push(message)
    if (message.type === "ack" || message.type === "welcome") this.acked = message.acked
    if (message.type === "welcome") {
      this.#isWelcome = true
      this.#resend()
    }
    this.changed()
  }

  #count(type: ToRunner["type"]): number {
    return this.messages.filter((message) => message.type === type).length
  }
}

type Closed = { code: number; reason: string; frames: string[]; protocol: string }

/** Opens a socket once, says `first` when it is open, and tells how it was closed. */
export function closeOf(
  url: string,
  protocols: string[],
  headers: Record<string, string> = {},
  first?: string,
): Promise<Closed> & { until: (text: string) => Promise<void> } {
  const socket = new WebSocket(url.replace("http", "ws"), protocols, { headers })
  const watcher = new FrameWatcher()
  socket.on("open", () => first !== undefined && socket.send(first))
  socket.on("message", (data) => watcher.take(String(data)))
  const closed = async () => {
    const [code, reason] = await soon("the close", once(socket, "close"))
    const { protocol } = socket
    return { code, reason: String(reason), frames: watcher.frames, protocol }
  }
  return Object.assign(closed(), { until: (text: string) => watcher.shows(text) })
}

class FrameWatcher extends Watcher {
  readonly frames: string[] = []

  take(frame: string): void {
    this.frames.push(frame)
    this.changed()
  }

  shows(text: string): Promise<void> {
    return this.until(text, () => this.frames.some((frame) => frame.includes(text)))
  }
}

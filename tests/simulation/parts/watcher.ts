import { CLOSE } from "#protocol/close-code"
import { parseCursor } from "#protocol/cursor"
import { PING_INTERVAL_MS, SEEN_EVERY_CHARS, SEEN_INTERVAL_MS } from "#protocol/limits"
import { applyFrame, applyPage, emptyLog, type SessionLog, sinceOf } from "#protocol/session-log"
import { ticketClaimsSchema } from "#protocol/token"
import { PROTOCOL_VERSION } from "#protocol/version"
import { type FromViewer, type ToViewer, toViewerSchema } from "#protocol/viewer"
import type { Actor, DomainContext } from "../../../server/domain/context.ts"
import { connectSession } from "../../../server/domain/sessions/index.ts"
import { timelinePage } from "../../../server/domain/timeline/index.ts"
import type { Channel } from "../kernel/channel.ts"
import type { Network } from "../kernel/network.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"
import type { RoomNode } from "./room-node.ts"
import type { Web } from "./server.ts"

const REQUEST_MS = 10_000
const RETRY_MS = 1_000
/** Silence after which the connection counts as dead. */
const SILENCE_MS = 12_000

type Surroundings = {
  network: Network
  room: RoomNode
  web: Web
  sessionId: string
  actor: Actor
  /** How long it takes over one message at most; 0 reads at once. */
  readMs: number
  pageLimit: number
  /** Called with each message that was applied. */
  onApplied(watcher: Watcher, message: ToViewer): void
}

/** Somebody's browser, as dev/watch-session.ts does it: it keeps its log over reconnects and asks for what it lacks. */
export class Watcher {
  readonly name: string
  log: SessionLog = emptyLog()
  link: string | null = null
  isWatching = false
  /** How often the page was loaded anew. */
  loads = 0
  readonly #simulation: Simulation
  readonly #around: Surroundings
  #process: SimulatedProcess | null = null

  constructor(simulation: Simulation, name: string, surroundings: Surroundings) {
    this.#simulation = simulation
    this.name = name
    this.#around = surroundings
  }

  open(): void {
    if (this.isWatching) return
    this.isWatching = true
    const process = new SimulatedProcess(this.#simulation, this.name)
    this.#process = process
    process.run(() => void this.#watch(process))
  }

  /** The page is closed. What it held stays, for when it is opened again from its cache. */
  close(): void {
    this.isWatching = false
    this.#process?.kill()
    this.#simulation.note(`${this.name} leaves`)
  }

  /** The page is loaded anew: nothing is held. */
  forget(): void {
    this.close()
    this.loads += 1
    this.log = emptyLog()
  }

  async #watch(process: SimulatedProcess): Promise<void> {
    for (;;) {
      try {
        const code = await this.#watchOnce(process)
        if (code === CLOSE.badMessage || code === CLOSE.wrongVersion) {
          this.#simulation.violate(`${this.name} was closed with ${code}`)
        }
      } catch (error) {
        this.#simulation.note(`${this.name} cannot watch: ${String(error)}`)
      }
      await process.sleep(this.#simulation.random.int(100, RETRY_MS))
    }
  }

  /** From a ticket to the end of the socket that it opened. */
  async #watchOnce(process: SimulatedProcess): Promise<number> {
    const { sessionId, room } = this.#around
    const { ticket } = await this.#ask("connect", (ctx) => connectSession(ctx, { sessionId }))
    const viewer = ticketClaimsSchema.parse(JSON.parse(ticket))
    const channel = room.open(this.name, { viewer })
    process.onKill(() => channel.drop("client"))
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(this.#simulation, process, channel, {
        take: (message) => this.#take(connection, message),
        readMs: this.#around.readMs,
        closed: resolve,
        broken: reject,
      })
      channel.listen("client", connection, process)
    })
  }

  async #take(connection: Connection, message: ToViewer): Promise<void> {
    if (message.type === "welcome") return this.#hello(connection)
    if (message.type === "replay" || message.type === "runner") {
      this.link = message.type === "replay" ? message.runner : message.link
    }
    if (message.type === "resync") {
      await this.#readPages(message.ingested)
      return this.#hello(connection)
    }
    connection.answered ||= message.type === "replay"
    if (!connection.answered) return
    const next = applyFrame(this.log, message)
    if (next === "gap") return this.#hello(connection)
    this.log = next
    this.#around.onApplied(this, message)
  }

  #hello(connection: Connection): void {
    connection.answered = false
    const since = sinceOf(this.log)
    connection.say({ type: "hello", protocol: PROTOCOL_VERSION, since })
  }

  async #readPages(ingested: string): Promise<void> {
    const { sessionId, pageLimit } = this.#around
    const target = parseCursor(ingested)
    let log = this.log.cursor.epoch === target.epoch ? this.log : emptyLog()
    for (;;) {
      const since = log.cursor.seq === 0 ? "0" : sinceOf(log)
      const page = await this.#ask(`page after ${since}`, (ctx) =>
        timelinePage(ctx, { sessionId, since, limit: pageLimit }),
      )
      log = applyPage(log, page.items, page.upTo)
      this.log = log
      if (!page.hasMore && log.cursor.seq >= target.seq) return
    }
  }

  #ask<Value>(what: string, verb: (ctx: DomainContext) => Promise<Value>): Promise<Value> {
    const { network, web, actor } = this.#around
    return network.call("person-web", `${this.name} ${what}`, REQUEST_MS, () =>
      web.serve(what, actor, verb),
    )
  }
}

/** One socket of a browser: reads in order and at its own pace, and says what it has received. */
class Connection {
  /** The room has answered the last hello: frames continue what is held. */
  answered = false
  readonly #process: SimulatedProcess
  readonly #channel: Channel
  readonly #simulation: Simulation
  readonly #on: {
    take(message: ToViewer): Promise<void>
    readMs: number
    closed(code: number): void
    broken(error: unknown): void
  }
  readonly #inbox: string[] = []
  #isReading = false
  #heardAt: number
  #received = 0
  #reported = 0
  #isOver = false

  constructor(
    simulation: Simulation,
    process: SimulatedProcess,
    channel: Channel,
    on: {
      take(message: ToViewer): Promise<void>
      readMs: number
      closed(code: number): void
      broken(error: unknown): void
    },
  ) {
    this.#simulation = simulation
    this.#process = process
    this.#channel = channel
    this.#on = on
    this.#heardAt = simulation.now
    void this.#keepAlive()
    void this.#keepReporting()
  }

  say(message: FromViewer): void {
    this.#channel.say("client", JSON.stringify(message))
  }

  message(text: string): void {
    this.#heardAt = this.#simulation.now
    if (text === "pong") return
    this.#inbox.push(text)
    if (!this.#isReading) void this.#read()
  }

  closed(code: number): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#on.closed(code)
  }

  async #read(): Promise<void> {
    this.#isReading = true
    try {
      for (let text = this.#inbox.shift(); text !== undefined; text = this.#inbox.shift()) {
        if (this.#on.readMs > 0) {
          await this.#process.sleep(this.#simulation.random.int(0, this.#on.readMs))
        }
        this.#received += text.length
        if (this.#received - this.#reported > SEEN_EVERY_CHARS) this.#report()
        if (!this.#isOver) await this.#on.take(toViewerSchema.parse(JSON.parse(text)))
      }
    } catch (error) {
      this.#isOver = true
      this.#channel.close("client", 1000, "cannot go on")
      this.#on.broken(error)
    }
    this.#isReading = false
  }

  async #keepAlive(): Promise<void> {
    while (!this.#isOver) {
      await this.#process.sleep(PING_INTERVAL_MS)
      this.#channel.say("client", "ping")
      if (this.#simulation.now - this.#heardAt < SILENCE_MS || this.#isOver) continue
      this.#channel.drop("client")
      this.closed(1006)
    }
  }

  async #keepReporting(): Promise<void> {
    while (!this.#isOver) {
      await this.#process.sleep(SEEN_INTERVAL_MS)
      this.#report()
    }
  }

  #report(): void {
    if (this.#received === this.#reported || this.#isOver) return
    this.#reported = this.#received
    this.say({ type: "seen", received: this.#received })
  }
}

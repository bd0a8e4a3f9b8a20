import type { Network, Route } from "./network.ts"
import type { SimulatedProcess } from "./simulated-process.ts"
import type { Simulation } from "./simulation.ts"

export type End = "client" | "room"

export type Ear = {
  /** The room took the connection; only a client hears it. */
  opened?(): void
  message(text: string): void
  /** Once, whoever closed it; 1006 when the network broke it. */
  closed(code: number, reason: string): void
}

const BROKEN = 1006
const RETRY_MS = 250
/** How long a side may not notice that the connection is gone. */
const UNNOTICED_MS = 20_000
const SHOWN_CHARS = 300

type Side = {
  ear: Ear | null
  /** Whose code hears; null for a side that is not alive or dead, but a service. */
  process: SimulatedProcess | null
  /** What was said to this side and has not arrived. */
  inbox: (() => void)[]
  expecting: boolean
  closed: boolean
}

const side = (): Side => ({ ear: null, process: null, inbox: [], expecting: false, closed: false })

/** A socket between a client and a room: in order in each direction, and able to break at any moment. */
export class Channel {
  readonly name: string
  readonly #simulation: Simulation
  readonly #network: Network
  readonly #route: Route
  readonly #sides: Record<End, Side> = { client: side(), room: side() }
  #isBroken = false

  constructor(simulation: Simulation, network: Network, route: Route, name: string) {
    this.#simulation = simulation
    this.#network = network
    this.#route = route
    this.name = name
  }

  listen(at: End, ear: Ear, process: SimulatedProcess | null = null): void {
    this.#sides[at].ear = ear
    this.#sides[at].process = process
  }

  isOpen(at: End): boolean {
    return !this.#sides[at].closed
  }

  /** The room takes the connection. */
  accept(): void {
    this.#carry("client", () => this.#sides.client.ear?.opened?.())
  }

  say(from: End, text: string): void {
    if (this.#sides[from].closed) return
    const to = other(from)
    this.#carry(to, () => {
      this.#simulation.note(`${this.name} ${from}: ${shown(text)}`)
      this.#sides[to].ear?.message(text)
    })
  }

  /** This side is done; the other hears of it after all that was said. */
  close(from: End, code: number, reason: string): void {
    if (this.#sides[from].closed) return
    this.#sides[from].closed = true
    this.#carry(other(from), () => this.#end(other(from), code, reason))
  }

  /** The connection is gone: what is under way is lost, and each side notices in its own time. */
  break(): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#simulation.note(`${this.name} breaks`)
    this.#simulation.count("a socket breaks")
    const { random } = this.#simulation
    for (const at of ["client", "room"] as const) {
      this.#sides[at].inbox = []
      const withinMs = random.chance(0.3) ? UNNOTICED_MS : 200
      this.#simulation.after(random.int(0, withinMs), () => this.#end(at, BROKEN, "it broke"))
    }
  }

  /** The process of one side is gone, and with it the connection. What it had said may still arrive. */
  drop(from: End): void {
    const gone = this.#sides[from]
    gone.closed = true
    gone.inbox = []
    const to = other(from)
    if (this.#simulation.random.chance(0.5))
      this.#carry(to, () => this.#end(to, BROKEN, "it broke"))
    else this.break()
  }

  #end(at: End, code: number, reason: string): void {
    const ended = this.#sides[at]
    if (ended.closed) return
    ended.closed = true
    this.#simulation.note(`${this.name} ${at} sees ${code} ${reason}`)
    this.#as(at, () => ended.ear?.closed(code, reason))
  }

  #carry(to: End, deliver: () => void): void {
    if (this.#isBroken) return
    this.#sides[to].inbox.push(deliver)
    this.#expect(to)
  }

  #expect(to: End): void {
    const receiver = this.#sides[to]
    if (receiver.expecting || receiver.inbox.length === 0) return
    receiver.expecting = true
    this.#simulation.after(this.#network.delay(this.#route), () => this.#arrive(to))
  }

  /** Some of what was said arrives together, as it does on a stream. */
  #arrive(to: End): void {
    const receiver = this.#sides[to]
    if (this.#network.on(this.#route).down && !this.#isBroken) {
      this.#simulation.after(RETRY_MS, () => this.#arrive(to))
      return
    }
    const count = this.#simulation.random.int(1, Math.max(1, receiver.inbox.length))
    for (const deliver of receiver.inbox.splice(0, count)) {
      if (!receiver.closed) this.#as(to, deliver)
    }
    receiver.expecting = false
    this.#expect(to)
  }

  #as(at: End, code: () => void): void {
    const { process } = this.#sides[at]
    if (!process) code()
    else if (process.alive) process.run(code)
  }
}

const other = (end: End): End => (end === "client" ? "room" : "client")

const shown = (text: string) =>
  text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}… ${text.length}`

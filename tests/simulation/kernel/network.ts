import { currentProcess } from "./simulated-process.ts"
import type { Simulation } from "./simulation.ts"

/** Who talks to whom. */
export type Route = "person-web" | "room-web" | "web-room" | "runner-room" | "viewer-room"
export const ROUTES = ["person-web", "room-web", "web-room", "runner-room", "viewer-room"] as const

export type Condition = {
  /** Longest usual delay of one message; the shortest is a millisecond. */
  delayMs: number
  /** Chance that a call's question, or its answer, is lost. */
  loss: number
  /** Chance that a call arrives twice. */
  repeat: number
  /** Nothing passes. What was said on a socket arrives when it is over, unless the socket broke. */
  down: boolean
}

export const FAIR: Condition = { delayMs: 20, loss: 0, repeat: 0, down: false }

/** A call that got no answer; nobody knows whether it was heard. */
export class Unanswered extends Error {}

export class Network {
  readonly #simulation: Simulation
  readonly #conditions = new Map<Route, Condition>()
  #calls = 0

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  on(route: Route): Condition {
    return this.#conditions.get(route) ?? FAIR
  }

  change(route: Route, condition: Partial<Condition>): void {
    this.#conditions.set(route, { ...this.on(route), ...condition })
    this.#simulation.note(`network ${route} ${JSON.stringify(this.on(route))}`)
  }

  heal(): void {
    for (const route of this.#conditions.keys()) this.#conditions.set(route, FAIR)
    this.#simulation.note("network healed")
  }

  delay(route: Route): number {
    return this.#simulation.random.int(1, this.on(route).delayMs)
  }

  /**
   * A question and its answer, as JSON would carry them. `serve` runs once per arrival; it rejects when the other side
   * answers with a failure. Rejects with {@link Unanswered} at the deadline or when the connection breaks.
   */
  call<Answer>(
    route: Route,
    what: string,
    withinMs: number,
    serve: () => Promise<Answer>,
  ): Promise<Answer> {
    const simulation = this.#simulation
    const { random } = simulation
    const caller = currentProcess()
    const name = `${route} #${++this.#calls} ${what}`
    simulation.note(`> ${name}`)
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const isHeard = (settle: () => void) => () => {
      if (caller === undefined || caller.alive) settle()
    }
    const late = simulation.after(
      withinMs,
      isHeard(() => reject(new Unanswered(`${name}: no answer`))),
    )
    const answerWith = (settle: () => void) => {
      if (this.#loses(route)) {
        simulation.note(`x ${name} answer lost`)
        simulation.count("an answer is lost")
        return
      }
      simulation.after(
        this.delay(route),
        isHeard(() => {
          simulation.cancel(late)
          settle()
        }),
      )
    }
    const arrive = (answers: boolean) => {
      if (this.on(route).down) return
      simulation.note(`! ${name}`)
      serve().then(
        (answer) => answers && answerWith(() => resolve(answer)),
        (error: unknown) => answers && answerWith(() => reject(error)),
      )
    }
    if (this.#loses(route)) {
      simulation.note(`x ${name} lost`)
      simulation.count("a call is lost")
    } else simulation.after(this.delay(route), () => arrive(true))
    if (random.chance(this.on(route).repeat)) {
      simulation.count("a call arrives twice")
      simulation.after(this.delay(route) * 3, () => arrive(false))
    }
    return promise
  }

  #loses(route: Route): boolean {
    const { down, loss } = this.on(route)
    return down || this.#simulation.random.chance(loss)
  }
}

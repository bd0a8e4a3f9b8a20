import { createHash } from "node:crypto"
import { EventQueue, type Scheduled } from "./event-queue.ts"
import { Random } from "./random.ts"
import { outOfProcess } from "./simulated-process.ts"
import { BEGINNING, type WorldClock } from "./world-clock.ts"

const KEPT_LINES = 400

/** A promise that the simulation breaks is told of with the time and what led there. */
export class Violation extends Error {}

/**
 * One event at a time on a clock of its own. After each event everything that follows from it without waiting is
 * finished before the next begins, so the order of events, and with it the whole history, depends on the seed alone.
 */
export class Simulation implements WorldClock {
  now = BEGINNING
  readonly seed: number
  readonly random: Random
  readonly entropy: Random
  /** The last lines that were noted. */
  readonly lines: string[] = []
  /** Is handed every line. */
  onLine: ((line: string) => void) | null = null
  events = 0
  /** How often each thing that {@link count} was told of has happened. */
  readonly tally = new Map<string, number>()
  readonly #queue = new EventQueue()
  readonly #hash = createHash("sha256")
  readonly #awaited: { mark: string; run: () => void }[] = []
  readonly #underway = new Set<Promise<unknown>>()
  #violation: Violation | null = null

  constructor(seed: number) {
    this.seed = seed
    this.random = new Random(seed, "world")
    this.entropy = new Random(seed, "entropy")
  }

  /** Schedules an event of nobody in particular. */
  after(ms: number, run: () => void): Scheduled {
    return this.#queue.add(this.now + Math.max(0, Math.ceil(ms)), run)
  }

  cancel(event: Scheduled | null): void {
    if (event) event.run = null
  }

  /** Runs events until `until` says so; null when it did, else the reason why there is none to run. */
  async run(
    until: () => boolean,
    atMost: number,
  ): Promise<"reached" | "time is up" | "nothing left"> {
    while (!until()) {
      const next = this.#queue.nextAt
      if (next === null) return "nothing left"
      if (next > atMost) {
        this.now = Math.max(this.now, atMost)
        return "time is up"
      }
      this.now = Math.max(this.now, next)
      const event = this.#queue.take()
      this.events += 1
      this.#guard(() => event?.run?.())
      await this.#finish()
      if (this.#violation) throw this.#violation
    }
    return "reached"
  }

  outside<Result>(work: () => Promise<Result>): Promise<Result> {
    const promise = outOfProcess(work)
    const { promise: settled, resolve } = Promise.withResolvers<void>()
    this.#underway.add(settled)
    const done = () => {
      this.#underway.delete(settled)
      resolve()
    }
    promise.then(done, done)
    return promise
  }

  note(line: string): void {
    const stamped = `${String(this.now - BEGINNING).padStart(8)} ${line}`
    this.#hash.update(stamped)
    this.#hash.update("\n")
    this.onLine?.(stamped)
    this.lines.push(stamped)
    if (this.lines.length > KEPT_LINES * 2) this.lines.splice(0, KEPT_LINES)
    const at = this.#awaited.findIndex(({ mark }) => line.includes(mark))
    if (at >= 0) this.#awaited.splice(at, 1)[0]?.run()
  }

  /** Calls back once, when the next line with `mark` in it is noted. */
  onceNoted(mark: string, run: () => void): void {
    this.#awaited.push({ mark, run })
  }

  count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1)
  }

  violate(what: string, cause?: unknown): void {
    this.note(`VIOLATION ${what}`)
    this.#violation ??= new Violation(what, { cause })
  }

  /** What happened so far, as one value: equal for equal histories. */
  digest(): string {
    return this.#hash.copy().digest("hex").slice(0, 16)
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.violate(error instanceof Error ? error.message : String(error), error)
    }
  }

  async #finish(): Promise<void> {
    do {
      await Promise.all(this.#underway)
      await microtasks()
    } while (this.#underway.size > 0)
  }
}

const realSetImmediate = setImmediate

/** Resolves when no microtask is left. */
const microtasks = () => new Promise<void>((resolve) => void realSetImmediate(resolve))

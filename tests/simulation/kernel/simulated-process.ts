import { AsyncLocalStorage } from "node:async_hooks"
import type { Disk } from "./disk.ts"
import type { Scheduled } from "./event-queue.ts"
import type { WorldClock } from "./world-clock.ts"

const running = new AsyncLocalStorage<SimulatedProcess | undefined>()

/** The simulated process whose code runs now; undefined outside of a simulation. */
export const currentProcess = () => running.getStore()

/** Runs code that belongs to no simulated process. */
export const outOfProcess = <Result>(code: () => Result): Result => running.run(undefined, code)

/** What runs until it is killed. All that its code starts and waits for belongs to it, and dies with it. */
export class SimulatedProcess {
  readonly world: WorldClock
  readonly name: string
  readonly disk: Disk | null
  alive = true
  readonly #onKill = new Set<() => void>()

  constructor(world: WorldClock, name: string, disk: Disk | null = null) {
    this.world = world
    this.name = name
    this.disk = disk
  }

  run<Result>(code: () => Result): Result {
    return running.run(this, code)
  }

  /** Runs `code` later, unless the process is dead by then. */
  after(ms: number, code: () => void): Scheduled {
    return this.world.after(ms, () => {
      if (this.alive) this.run(code)
    })
  }

  /** Resolves after `ms`; never once the process is dead. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve))
  }

  /** The outcome of `work` as this process sees it: none at all once it is dead. */
  awaits<Result>(work: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      work.then(
        (result) => this.alive && resolve(result),
        (error: unknown) => this.alive && reject(error),
      )
    })
  }

  /** Returns how to take the callback back. */
  onKill(callback: () => void): () => void {
    this.#onKill.add(callback)
    return () => this.#onKill.delete(callback)
  }

  kill(): void {
    if (!this.alive) return
    this.alive = false
    for (const callback of this.#onKill) callback()
  }
}

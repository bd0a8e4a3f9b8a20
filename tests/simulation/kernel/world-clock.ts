import type { Scheduled } from "./event-queue.ts"
import type { Random } from "./random.ts"

/** Later than the real clock, so that what PostgreSQL stamps with its own is always due. */
export const BEGINNING = Date.UTC(2040, 0, 1)

/** What processes are given of the simulation they live in. */
export interface WorldClock {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Chance of the world: networks, accidents, people. */
  readonly random: Random
  /** What processes get when they ask their machine for something random. */
  readonly entropy: Random
  after(ms: number, run: () => void): Scheduled
  /** Lets the real world finish something before the next event begins. */
  outside<Result>(work: () => Promise<Result>): Promise<Result>
}

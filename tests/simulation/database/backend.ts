import type { Database } from "../../../server/db.ts"
import type { Job } from "./job-table.ts"

/** Where the rows and jobs of a simulation stand, without its delays and failures. */
export type Backend = {
  db: Database
  jobs: {
    /** Locks the job that is due the longest. */
    take(nowMs: number): Promise<Job | null>
    /** When the next waiting job is due, on the simulation's clock. */
    nextAt(): Promise<number | null>
    complete(id: string): Promise<void>
    /** The job waits longer after each failure. */
    fail(id: string, nowMs: number): Promise<void>
    /** Those that will run, or run. One that was replaced while it ran is not among them. */
    names(): Promise<string[]>
  }
  clear(): Promise<void>
}

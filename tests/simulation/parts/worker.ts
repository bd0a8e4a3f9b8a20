import { isDatabaseUnreachable } from "../../../server/database-errors.ts"
import { RoomUnreachable } from "../../../server/jobs/call-room.ts"
import type { JobContext } from "../../../server/jobs/context.ts"
import { addJob, type JobName, jobPayloads } from "../../../server/jobs/queue.ts"
import { releaseAbandoned } from "../../../server/jobs/release-abandoned.ts"
import { runJob } from "../../../server/jobs/tasks.ts"
import { Late } from "../../../server/jobs/within.ts"
import type { Backend } from "../database/backend.ts"
import type { Job } from "../database/job-table.ts"
import type { Scheduled } from "../kernel/event-queue.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"

const CONCURRENCY = 6
/** How soon a worker hears of a job that is due at once, and how late it may find one whose time has come. */
const NOTIFY_MS = 10
const POLL_MS = 1_000
const SWEEP_MS = 60_000

/** The jobs' process: real handlers on real rows, started and retried as graphile-worker does it. */
export class Worker {
  readonly #simulation: Simulation
  readonly #context: JobContext
  readonly #jobs: Backend["jobs"]
  #process: SimulatedProcess | null = null
  #running = 0
  #look: Scheduled | null = null
  /** Jobs are taken only after those of the process before were released. */
  #isReady = false

  constructor(simulation: Simulation, context: JobContext, jobs: Backend["jobs"]) {
    this.#simulation = simulation
    this.#context = context
    this.#jobs = jobs
  }

  start(): void {
    const process = new SimulatedProcess(this.#simulation, "worker")
    this.#process = process
    this.#running = 0
    this.#look = null
    this.#isReady = false
    process.run(() => void this.#begin(process))
  }

  crash(downMs: number): void {
    if (!this.#process?.alive) return
    this.#simulation.note(`worker crashes for ${downMs} ms`)
    this.#process.kill()
    this.#simulation.after(downMs, () => this.start())
  }

  /** Something was written, perhaps a job. */
  notice(): void {
    this.#lookIn(this.#simulation.random.int(1, NOTIFY_MS))
  }

  async #begin(process: SimulatedProcess): Promise<void> {
    try {
      await releaseAbandoned(this.#context.db, 0)
    } catch (error) {
      this.#unlessOutage("the worker's start", error)
      await process.sleep(POLL_MS)
      return this.#begin(process)
    }
    this.#isReady = true
    void this.#sweepAgainAndAgain(process)
    this.#lookIn(0)
  }

  async #sweepAgainAndAgain(process: SimulatedProcess): Promise<void> {
    for (;;) {
      try {
        const options = { jobKey: "sweep-sandboxes", maxAttempts: 1 }
        await addJob(this.#context.db, "sweep-sandboxes", {}, options)
      } catch (error) {
        this.#unlessOutage("the sweep's cron", error)
      }
      await process.sleep(SWEEP_MS)
    }
  }

  #lookIn(ms: number): void {
    const process = this.#process
    if (!process?.alive || !this.#isReady) return
    const at = this.#simulation.now + ms
    if (this.#look?.run && this.#look.at <= at) return
    this.#simulation.cancel(this.#look)
    this.#look = process.after(ms, () => {
      this.#look = null
      void this.#takeDue(process)
    })
  }

  async #takeDue(process: SimulatedProcess): Promise<void> {
    const { now } = this.#simulation
    while (this.#running < CONCURRENCY) {
      const job = await process.awaits(this.#simulation.outside(() => this.#jobs.take(now)))
      if (!job) break
      this.#running += 1
      void this.#work(process, job)
    }
    const nextAt = await process.awaits(this.#simulation.outside(() => this.#jobs.nextAt()))
    if (nextAt === null) return
    const waitMs = Math.max(POLL_MS / 2, nextAt - now)
    this.#lookIn(waitMs + this.#simulation.random.int(0, POLL_MS))
  }

  async #work(process: SimulatedProcess, { id, name, payload }: Job): Promise<void> {
    this.#simulation.note(`job ${name} ${JSON.stringify(payload)}`)
    const settle = (work: () => Promise<void>) => process.awaits(this.#simulation.outside(work))
    try {
      await this.#perform(name, payload)
      await settle(() => this.#jobs.complete(id))
    } catch (error) {
      this.#simulation.note(`job ${name} failed: ${String(error)}`)
      this.#unlessOutage(`job ${name}`, error)
      await settle(() => this.#jobs.fail(id, this.#simulation.now))
    }
    this.#running -= 1
    this.#lookIn(1)
  }

  #perform(name: string, payload: unknown): Promise<void> {
    if (!isJobName(name)) throw new Error(`there is no job ${name}`)
    return runJob(this.#context, name, jobPayloads[name].parse(payload))
  }

  /** Outages are what retries are for; anything else is a fault of a handler. */
  #unlessOutage(what: string, error: unknown): void {
    const isOutage = (one: unknown): boolean =>
      one instanceof RoomUnreachable ||
      one instanceof Late ||
      isDatabaseUnreachable(one) ||
      (one instanceof AggregateError && one.errors.every(isOutage))
    if (!isOutage(error)) this.#simulation.violate(`${what} broke: ${String(error)}`, error)
  }
}

const isJobName = (name: string): name is JobName => name in jobPayloads

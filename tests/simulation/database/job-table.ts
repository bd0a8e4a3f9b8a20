import type { Tables } from "./tables.ts"

export type Job = { id: string; name: string; payload: unknown }

type StoredJob = {
  id: number
  name: string
  payload: unknown
  key: string | null
  /** Comparable with the simulation's clock; a job for at once counts as long due. */
  runAt: number
  attempts: number
  maxAttempts: number
  locked: boolean
}

const DEFAULT_ATTEMPTS = 25

/** graphile-worker's jobs as its SQL keeps them, in memory. */
export class JobTable {
  #jobs: StoredJob[] = []
  #lastId = 0
  readonly #tables: Tables

  constructor(tables: Tables) {
    this.#tables = tables
  }

  get names(): string[] {
    const alive = this.#jobs.filter(({ attempts, maxAttempts }) => attempts < maxAttempts)
    return alive.map(({ name }) => name)
  }

  clear(): void {
    this.#jobs = []
  }

  /** A waiting job of the same key is replaced; one that runs, or failed for the last time, loses its key. */
  add(
    job: Pick<StoredJob, "name" | "payload" | "key"> & {
      runAt: Date | null
      maxAttempts: number | null
    },
  ) {
    const { name, payload, key } = job
    const fields = {
      name,
      payload,
      runAt: job.runAt?.getTime() ?? this.#tables.moment,
      maxAttempts: job.maxAttempts ?? DEFAULT_ATTEMPTS,
    }
    const known = key === null ? undefined : this.#jobs.find((other) => other.key === key)
    if (known && isAvailable(known)) return this.#change(known, { ...fields, attempts: 0 })
    if (known) this.#change(known, { key: null, attempts: known.maxAttempts })
    const added: StoredJob = { ...fields, id: ++this.#lastId, key, attempts: 0, locked: false }
    this.#jobs.push(added)
    this.#tables.changed(() => void this.#jobs.splice(this.#jobs.indexOf(added), 1))
  }

  take(nowMs: number): Job | null {
    const due = this.#waiting.filter(({ runAt }) => runAt <= nowMs)
    const first = due.sort((a, b) => a.runAt - b.runAt || a.id - b.id)[0]
    if (!first) return null
    first.locked = true
    first.attempts += 1
    return { id: String(first.id), name: first.name, payload: first.payload }
  }

  /** When the next job is due that waits for its time. */
  get nextAt(): number | null {
    const times = this.#waiting.map(({ runAt }) => runAt)
    return times.length === 0 ? null : Math.min(...times)
  }

  complete(id: string): void {
    this.#jobs = this.#jobs.filter((job) => String(job.id) !== id)
  }

  fail(id: string, nowMs: number): void {
    const job = this.#jobs.find((known) => String(known.id) === id)
    if (!job) return
    job.locked = false
    job.runAt = Math.max(nowMs, job.runAt) + Math.ceil(Math.exp(Math.min(job.attempts, 10)) * 1_000)
  }

  /** How many were locked. */
  unlockAll(): number {
    const locked = this.#jobs.filter((job) => job.locked)
    for (const job of locked) job.locked = false
    return locked.length
  }

  get #waiting(): StoredJob[] {
    return this.#jobs.filter(isAvailable)
  }

  #change(job: StoredJob, fields: Partial<StoredJob>): void {
    const before = { ...job }
    Object.assign(job, fields)
    this.#tables.changed(() => void Object.assign(job, before))
  }
}

const isAvailable = ({ locked, attempts, maxAttempts }: StoredJob) =>
  !locked && attempts < maxAttempts

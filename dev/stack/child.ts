import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { signal } from "./leftovers.ts"

const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 5_000
/** A child that lived this long starts over with the shortest backoff. */
const STEADY_MS = 10_000
const STOP_DEADLINE_MS = 8_000
const PROBE_INTERVAL_MS = 50
const WATCH_MS = 500
/** A child that restarts its own worker is hollow for a moment. */
const HOLLOW_DEADLINE_MS = 3_000
/** A child that was started again is hollow until it works; one that has died before it was seen to work stays so. */
const REBIRTH_DEADLINE_MS = 30_000
const LOG_END_LINES = 15

export type ChildSpec = {
  name: string
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  cwd: string
  logDir: string
  /** Resolves to true once the child does its work; `said` is what it wrote since it was started. */
  isReady: (said: () => string) => Promise<boolean>
  readyDeadlineMs: number
  /** Whether nothing does the child's work any more although its process lives, as when only a process below it died. */
  isHollow?: (pid: number) => Promise<boolean>
}

/** One process of the stack, in a group of its own, started again whenever it dies. */
export class Child {
  readonly name: string
  readonly #spec: ChildSpec
  readonly #changed: () => void
  #process: ChildProcess | undefined
  #stopping = false
  #backoffMs = FIRST_BACKOFF_MS
  #restart: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined
  #wasReady = false
  #endHollowAt = 0
  #logStart = 0

  constructor(spec: ChildSpec, changed: () => void) {
    this.name = spec.name
    this.#spec = spec
    this.#changed = changed
  }

  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  get logFile(): string {
    return join(this.#spec.logDir, `${this.name}.log`)
  }

  /** Starts the child and waits until it is ready; throws with the end of its log otherwise. */
  async start(): Promise<void> {
    this.#spawn()
    const { isReady, readyDeadlineMs } = this.#spec
    const giveUpAt = Date.now() + readyDeadlineMs
    while (!(await isReady(() => this.#log()))) {
      if (this.#stopping) throw new Error(`${this.name} was stopped before it was ready.`)
      if (this.#hasExited()) throw this.#notReady("ended before it was ready")
      if (Date.now() > giveUpAt) {
        throw this.#notReady(`was not ready within ${readyDeadlineMs / 1000} s`)
      }
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS))
    }
    this.#wasReady = true
    this.#watch = setInterval(() => this.#endHollow(), WATCH_MS)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    clearInterval(this.#watch)
    const child = this.#process
    if (!child?.pid) return
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : null
    signal(-child.pid, "SIGTERM")
    const kill = setTimeout(() => child.pid && signal(-child.pid, "SIGKILL"), STOP_DEADLINE_MS)
    await ended
    clearTimeout(kill)
    signal(-child.pid, "SIGKILL")
  }

  #spawn(): void {
    mkdirSync(this.#spec.logDir, { recursive: true })
    const log = openSync(this.logFile, "a")
    this.#logStart = fstatSync(log).size
    const startedAt = Date.now()
    const child = spawn(this.#spec.command, this.#spec.args, {
      cwd: this.#spec.cwd,
      env: this.#spec.env,
      detached: true,
      stdio: ["ignore", log, log],
    })
    closeSync(log)
    this.#process = child
    this.#endHollowAt = startedAt + REBIRTH_DEADLINE_MS
    child.once("error", () => this.#again(startedAt))
    child.once("exit", () => {
      // workerd and other grandchildren outlive a killed parent and would keep its port.
      if (child.pid) signal(-child.pid, "SIGKILL")
      this.#again(startedAt)
    })
    this.#changed()
  }

  #again(startedAt: number): void {
    // A first start that fails is told; only what once worked is worth starting again.
    if (this.#stopping || !this.#wasReady) return
    if (Date.now() - startedAt > STEADY_MS) this.#backoffMs = FIRST_BACKOFF_MS
    this.#restart = setTimeout(() => this.#spawn(), this.#backoffMs)
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS)
  }

  /** Ends a process that only stands in front of work that died, so that it is started again. */
  async #endHollow(): Promise<void> {
    const { pid } = this
    if (!pid || !(await this.#spec.isHollow?.(pid))) {
      this.#endHollowAt = Date.now() + HOLLOW_DEADLINE_MS
      return
    }
    if (pid === this.pid && !this.#stopping && Date.now() > this.#endHollowAt) {
      signal(-pid, "SIGKILL")
    }
  }

  #hasExited(): boolean {
    const child = this.#process
    return !child?.pid || child.exitCode !== null || child.signalCode !== null
  }

  #notReady(how: string): Error {
    const end = this.#log().trimEnd().split("\n").slice(-LOG_END_LINES).join("\n")
    return new Error(`${this.name} ${how}. The end of ${this.logFile}:\n${end}`)
  }

  /** What the child wrote since it was started. */
  #log(): string {
    try {
      return readFileSync(this.logFile).subarray(this.#logStart).toString()
    } catch {
      return ""
    }
  }
}

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { signal } from "./leftovers.ts"

const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 5_000
/** A child that lived this long starts over with the shortest backoff. */
const STEADY_MS = 10_000
const STOP_DEADLINE_MS = 8_000
const PROBE_INTERVAL_MS = 50

export type ChildSpec = {
  name: string
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  cwd: string
  logDir: string
  /** Resolves to true once the child does its work. */
  isReady: () => Promise<boolean>
  readyDeadlineMs: number
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
    const giveUpAt = Date.now() + this.#spec.readyDeadlineMs
    while (!(await this.#spec.isReady())) {
      if (Date.now() > giveUpAt) {
        throw new Error(
          `${this.name} was not ready within ${this.#spec.readyDeadlineMs / 1000} s. The end of ${this.logFile}:\n${this.#logEnd()}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS))
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
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
    const startedAt = Date.now()
    const child = spawn(this.#spec.command, this.#spec.args, {
      cwd: this.#spec.cwd,
      env: this.#spec.env,
      detached: true,
      stdio: ["ignore", log, log],
    })
    closeSync(log)
    this.#process = child
    child.once("error", () => this.#again(startedAt))
    child.once("exit", () => {
      // workerd and other grandchildren outlive a killed parent and would keep its port.
      if (child.pid) signal(-child.pid, "SIGKILL")
      this.#again(startedAt)
    })
    this.#changed()
  }

  #again(startedAt: number): void {
    if (this.#stopping) return
    if (Date.now() - startedAt > STEADY_MS) this.#backoffMs = FIRST_BACKOFF_MS
    this.#restart = setTimeout(() => this.#spawn(), this.#backoffMs)
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS)
  }

  #logEnd(): string {
    try {
      return readFileSync(this.logFile, "utf8").split("\n").slice(-15).join("\n")
    } catch {
      return "(no log)"
    }
  }
}

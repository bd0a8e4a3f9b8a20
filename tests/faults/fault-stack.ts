import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, globSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import pg from "pg"
import * as z from "zod"
import { launchPostgres, type Postgres } from "../../dev/postgres/launch.ts"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import type { StackLine } from "../../dev/stack/stack.ts"
import { apiClient } from "../../server/client.ts"
import { type Found, killAtOnce, processesOf } from "./processes.ts"
import { TcpProxy } from "./tcp-proxy.ts"
import { until } from "./until.ts"

const SCRIPT = fileURLToPath(new URL("./stack-process.ts", import.meta.url))
const READY_WITHIN_MS = 240_000
const STOPPED_WITHIN_MS = 40_000
const BACK_WITHIN_MS = 60_000
const ANSWER_WITHIN_MS = 10_000

export const HOME_PREFIX = "agent-ops-faults-"

export type Part = "web" | "rooms" | "jobs" | "model" | "postgres"

export type FaultStackOptions = {
  /** More environment for every part. */
  env?: Record<string, string>
  /** Puts a wire that can fail between the sandboxes and the rooms. */
  isProxied?: boolean
  /** A command that the stack is started behind, such as `unshare`. */
  behind?: string[]
  /** PostgreSQL is the test's to stop and start, instead of the stack's. */
  ownsPostgres?: boolean
}

/** Where the logs of stacks are kept whose tests failed, and what of a home is kept: the rest is large, or a secret. */
const KEPT = fileURLToPath(new URL("../../test-results/faults", import.meta.url))
const LOGS = ["stack.log", "logs", "postgres/*.log", "sandboxes/*/log", "sandboxes/*/state"]

const pidsSchema = z.record(z.string(), z.number().nullable())

/** A whole product in a home and on ports of its own, whose parts can be killed one by one or all at once. */
export class FaultStack {
  static readonly #all = new Set<FaultStack>()
  readonly home: string
  readonly #port: number
  readonly #options: FaultStackOptions
  #process: ChildProcess | undefined
  #line: StackLine | undefined
  #proxy: TcpProxy | undefined
  #postgres: Postgres | undefined
  #keepsLogs = false

  private constructor(home: string, port: number, options: FaultStackOptions) {
    this.home = home
    this.#port = port
    this.#options = options
  }

  static async start(options: FaultStackOptions = {}): Promise<FaultStack> {
    const home = mkdtempSync(join(tmpdir(), `${HOME_PREFIX}${process.pid}-`))
    const port = await freePorts(6)
    const stack = new FaultStack(home, port, options)
    FaultStack.#all.add(stack)
    try {
      if (options.isProxied) stack.#proxy = await TcpProxy.start(port + 5, port + 1)
      if (options.ownsPostgres) await stack.startPostgres()
      await stack.restart()
      return stack
    } catch (error) {
      stack.#keepsLogs = true
      console.error(`The stack did not start. Its logs: ${stack.#logsKept}`)
      await stack.stop()
      throw error
    }
  }

  /** Has the logs of every stack that runs now kept when it stops. Returns where they will be. */
  static keepLogs(): string[] {
    return [...FaultStack.#all].map((stack) => {
      stack.#keepsLogs = true
      return stack.#logsKept
    })
  }

  get #logsKept(): string {
    return join(KEPT, basename(this.home))
  }

  get line(): StackLine {
    if (!this.#line) throw new Error("The stack did not start.")
    return this.#line
  }

  get api() {
    return apiClient(this.line)
  }

  get proxy(): TcpProxy {
    if (!this.#proxy) throw new Error("This stack has no proxy.")
    return this.#proxy
  }

  /** Starts the stack in its home, where an earlier one may have been killed. */
  async restart(): Promise<void> {
    const { env = {}, isProxied } = this.#options
    const seenBySandboxes = `http://127.0.0.1:${this.#port + 5}`
    const options = {
      home: this.home,
      port: this.#port,
      databaseUrl: this.#postgres?.url,
      env: isProxied ? { ROOMS_PUBLIC_URL: seenBySandboxes, ...env } : env,
    }
    const log = openSync(join(this.home, "stack.log"), "a")
    // Its home among the arguments lets it be found with everything else of this home.
    const command = [process.execPath, SCRIPT, this.home, JSON.stringify(options)]
    const [file = "", ...args] = [...(this.#options.behind ?? []), ...command]
    const child = spawn(file, args, {
      detached: true,
      stdio: ["pipe", "pipe", log],
    })
    this.#process = child
    if (!child.stdout) throw new Error("The stack has no standard output")
    const lines = createInterface({ input: child.stdout })
    const signal = AbortSignal.timeout(READY_WITHIN_MS)
    const [line] = await Promise.race([
      once(lines, "line", { signal }),
      once(child, "exit").then(([code]) => {
        throw new Error(`The stack ended with ${code}:\n${this.log("../stack")}`)
      }),
    ])
    this.#line = JSON.parse(line)
  }

  /** The id of the process that keeps the parts running. */
  get keeper(): number {
    return this.#process?.pid ?? 0
  }

  /** The id under which a part runs now. */
  pid(part: Part): number {
    if (part === "postgres" && this.#postgres) return this.#postgres.pid
    const pids = pidsSchema.parse(JSON.parse(readFileSync(join(this.home, "pids.json"), "utf8")))
    const pid = pids[part]
    if (!pid) throw new Error(`${part} has no process`)
    return pid
  }

  /** Ends a part with everything it started, without a word of warning. Returns its process id. */
  kill(part: Part): number {
    const pid = this.pid(part)
    signal(-pid, "SIGKILL")
    return pid
  }

  /** Resolves when a part that was killed runs again and answers. */
  async isBack(part: Part, killed: number): Promise<void> {
    await until(`${part} to run again`, BACK_WITHIN_MS, async () => {
      if (this.pid(part) === killed) return false
      const wish = { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }
      if (part === "web") return (await fetch(`${this.line.url}/api/health`, wish)).status !== 500
      if (part === "rooms") return (await fetch(`${this.line.roomsUrl}/health`, wish)).ok
      return true
    })
  }

  /** What a reboot leaves of it: the files. With `sparesSandboxes` only the product's own processes end. */
  async killEverything({ sparesSandboxes = false } = {}): Promise<void> {
    const isSpared = ({ environment }: Found) =>
      sparesSandboxes && environment.some((entry) => entry.startsWith("AGENT_OPS_SANDBOX="))
    const all = () => this.processes().filter((found) => !isSpared(found))
    await killAtOnce(() => all().map(({ pid }) => pid))
  }

  async startPostgres(): Promise<void> {
    const dataDir = join(this.home, "postgres")
    this.#postgres = await launchPostgres({ dataDir, port: this.#port + 2 })
  }

  /** Ends PostgreSQL at once and without a checkpoint; {@link startPostgres} recovers it. */
  async stopPostgresAtOnce(): Promise<void> {
    const postgres = this.#postgres
    if (!postgres) throw new Error("PostgreSQL is not this test's own.")
    signal(postgres.pid, "SIGQUIT")
    await until("PostgreSQL to end", 10_000, () => !postgres.isAlive())
  }

  /** Rows of the database, around the API. */
  async rows<Row extends z.ZodType>(
    row: Row,
    query: string,
    values: unknown[],
  ): Promise<z.infer<Row>[]> {
    const client = new pg.Client({
      connectionString: this.line.databaseUrl,
      connectionTimeoutMillis: 5_000,
    })
    await client.connect()
    try {
      const { rows } = await client.query<Record<string, unknown>>(query, values)
      return z.array(row).parse(rows)
    } finally {
      await client.end()
    }
  }

  /** Changes the database behind the product's back. */
  async write(statement: string, values: unknown[] = []): Promise<void> {
    await this.rows(z.unknown(), statement, values)
  }

  processes(): Found[] {
    return processesOf(this.home)
  }

  /** The lines that a part wrote with all of these words. */
  logged(part: Part, ...words: string[]): string[] {
    const lines = readFileSync(join(this.home, `logs/${part}.log`), "utf8").split("\n")
    return lines.filter((line) => words.every((word) => line.includes(word)))
  }

  /** The end of what a part wrote. */
  log(part: string): string {
    const text = readFileSync(join(this.home, `logs/${part}.log`), "utf8")
    return text.split("\n").slice(-40).join("\n")
  }

  /** Stops the stack in order and keeps its home, where it can start again. False when it did not run. */
  async end(): Promise<boolean> {
    const child = this.#process
    const isRunning = child?.exitCode === null && child.signalCode === null
    if (isRunning) {
      child.stdin?.end()
      const late = AbortSignal.timeout(STOPPED_WITHIN_MS)
      await once(child, "exit", { signal: late }).catch(() => undefined)
    }
    return isRunning
  }

  /** Stops the stack in order, then removes whatever is left; throws when that was a process. */
  async stop(): Promise<void> {
    const isRunning = await this.end()
    await this.#postgres?.stop()
    this.#proxy?.close()
    const left = isRunning ? this.processes().map(({ command }) => command) : []
    await this.killEverything()
    FaultStack.#all.delete(this)
    if (this.#keepsLogs) this.#copyLogs()
    if (process.env.FAULT_KEEP !== "1") {
      rmSync(this.home, { recursive: true, force: true, maxRetries: 3 })
    }
    if (left.length > 0) throw new Error(`The stopped stack left ${left.join(" | ")}`)
  }

  #copyLogs(): void {
    for (const path of globSync(LOGS, { cwd: this.home })) {
      cpSync(join(this.home, path), join(this.#logsKept, path), { recursive: true })
    }
  }
}

import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { join, resolve } from "node:path"
import { localProvider } from "../../server/sandbox/local.ts"
import { launchPostgres, type Postgres } from "../postgres/launch.ts"
import { buildAll, ROOT } from "./builds.ts"
import { Child, type ChildSpec } from "./child.ts"
import { type DevIdentity, ensureDevIdentity } from "./dev-identity.ts"
import { endLeftovers, STACK_MARK, signal } from "./leftovers.ts"
import { migrateDatabase } from "./migrate.ts"
import { stackSecrets } from "./secrets.ts"

const READY_DEADLINE_MS = 90_000
const PROBE_DEADLINE_MS = 1_000
const POSTGRES_WATCH_MS = 500

export type StackOptions = {
  /** Directory that holds everything of this stack. */
  home: string
  /** First of five consecutive ports on 127.0.0.1: web, rooms, postgres, model, inspector. */
  port: number
  /** Use this server instead of the embedded one. */
  databaseUrl?: string
  /** Next's development server with hot reload instead of the production build. */
  hotReload?: boolean
  /** More environment for every part: deadlines, provider keys. */
  env?: Record<string, string>
  say?: (line: string) => void
}

export type StackLine = {
  url: string
  roomsUrl: string
  apiKey: string
  userId: string
  teamId: string
  databaseUrl: string
  home: string
  pids: Record<string, number | null>
}

export type Stack = { line: StackLine; stop: () => Promise<void> }

/** Starts the whole product on loopback, isolated in its home, and keeps its parts running until stopped. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const home = resolve(options.home)
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const release = lockHome(home)
  const stack = new RunningStack({ ...options, home }, release)
  try {
    await endLeftovers(home)
    return { line: await stack.start(), stop: () => stack.stop() }
  } catch (error) {
    await stack.stop()
    throw error
  }
}

class RunningStack {
  readonly #options: StackOptions
  readonly #release: () => void
  readonly #children: Child[] = []
  #postgres: Postgres | undefined
  #postgresWatch: NodeJS.Timeout | undefined
  #stopped: Promise<void> | undefined

  constructor(options: StackOptions, release: () => void) {
    this.#options = options
    this.#release = release
  }

  async start(): Promise<StackLine> {
    const { home, port, say = () => {} } = this.#options
    // Both are waited for even when one fails, so that stop() finds everything that was started.
    const [database, builds] = await Promise.allSettled([
      this.#database(),
      buildAll({ web: !this.#options.hotReload }, say),
    ])
    if (database.status === "rejected") throw database.reason
    if (builds.status === "rejected") throw builds.reason
    const databaseUrl = database.value
    await migrateDatabase(databaseUrl)
    const identity = await ensureDevIdentity(databaseUrl, stackSecrets(home).apiKey)
    const specs = this.#specs(databaseUrl)
    await Promise.all(specs.map((spec) => this.#launch(spec)))
    return this.#line(databaseUrl, identity, port)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    clearInterval(this.#postgresWatch)
    await Promise.all(this.#children.map((child) => child.stop()))
    const sandboxes = localProvider({ home: this.#options.home })
    for (const { id } of await sandboxes.list()) await sandboxes.terminate(id)
    await this.#postgres?.stop()
    rmSync(join(this.#options.home, "pids.json"), { force: true })
    this.#release()
  }

  async #database(): Promise<string> {
    if (this.#options.databaseUrl) return this.#options.databaseUrl
    const launch = () =>
      launchPostgres({
        dataDir: join(this.#options.home, "postgres"),
        port: this.#options.port + 2,
      })
    this.#postgres = await launch()
    let relaunching = false
    this.#postgresWatch = setInterval(() => {
      if (relaunching || this.#stopped || this.#postgres?.isAlive()) return
      relaunching = true
      launch()
        .then((postgres) => {
          this.#postgres = postgres
          this.#writePids()
        })
        .catch((error: unknown) => this.#options.say?.(`PostgreSQL does not start again: ${error}`))
        .finally(() => {
          relaunching = false
        })
    }, POSTGRES_WATCH_MS)
    return this.#postgres.url
  }

  async #launch(spec: ChildSpec): Promise<void> {
    const child = new Child(spec, () => this.#writePids())
    this.#children.push(child)
    await child.start()
  }

  #pids(): Record<string, number | null> {
    const children = this.#children.map((child) => [child.name, child.pid] as const)
    return { ...Object.fromEntries(children), postgres: this.#postgres?.pid ?? null }
  }

  #writePids(): void {
    writeFileSync(join(this.#options.home, "pids.json"), JSON.stringify(this.#pids()))
  }

  #line(databaseUrl: string, identity: DevIdentity, port: number): StackLine {
    this.#writePids()
    return {
      url: `http://localhost:${port}`,
      roomsUrl: `http://127.0.0.1:${port + 1}`,
      ...identity,
      databaseUrl,
      home: this.#options.home,
      pids: this.#pids(),
    }
  }

  #specs(databaseUrl: string): ChildSpec[] {
    const { home, port, hotReload } = this.#options
    const node = process.execPath
    const modelUrl = `http://127.0.0.1:${port + 3}`
    const roomsUrl = `http://127.0.0.1:${port + 1}`
    const env = this.#environment(databaseUrl)
    const keyless: NodeJS.ProcessEnv = { ...env }
    for (const name of PROVIDER_KEYS) delete keyless[name]
    const shared = {
      env: keyless,
      cwd: ROOT,
      logDir: join(home, "logs"),
      readyDeadlineMs: READY_DEADLINE_MS,
    }
    const next = join(ROOT, "node_modules/next/dist/bin/next")
    const answers = (url: string) => () => responds(url)
    return [
      {
        ...shared,
        name: "model",
        command: node,
        args: ["dev/model/server.ts", "--port", String(port + 3)],
        isReady: answers(`${modelUrl}/health`),
      },
      {
        ...shared,
        name: "rooms",
        env,
        command: node,
        args: ["dev/rooms.ts", "--port", String(port + 1), "--persist", join(home, "rooms")],
        isReady: answers(`${roomsUrl}/health`),
      },
      {
        ...shared,
        name: "web",
        command: node,
        args: [next, hotReload ? "dev" : "start", "-H", "127.0.0.1", "-p", String(port)],
        isReady: answers(`http://127.0.0.1:${port}/api/health`),
      },
      {
        ...shared,
        name: "jobs",
        command: node,
        args: ["server/jobs/worker.ts"],
        isReady: () => jobsReady(join(home, "logs/jobs.log")),
      },
    ]
  }

  #environment(databaseUrl: string): NodeJS.ProcessEnv {
    const { home, port, hotReload } = this.#options
    const secrets = stackSecrets(home)
    return {
      ...process.env,
      NODE_ENV: hotReload ? "development" : "production",
      NEXT_TELEMETRY_DISABLED: "1",
      NODE_OPTIONS: "",
      [STACK_MARK]: home,
      AGENT_OPS_LOCAL: "1",
      AGENT_OPS_HOME: home,
      DATABASE_URL: databaseUrl,
      APP_URL: `http://localhost:${port}`,
      WEB_URL: `http://127.0.0.1:${port}`,
      ALLOWED_ORIGINS: `http://localhost:${port}`,
      ROOMS_URL: `http://127.0.0.1:${port + 1}`,
      MODEL_URL: `http://127.0.0.1:${port + 3}`,
      SERVER_SIGNING_KEY: secrets.serverSigningKey,
      SERVER_VERIFY_KEY: secrets.serverVerifyKey,
      ROOMS_SIGNING_KEY: secrets.roomsSigningKey,
      ROOMS_VERIFY_KEY: secrets.roomsVerifyKey,
      MODEL_PROVIDERS: configuredProviders(process.env),
      ...this.#options.env,
    }
  }
}

/** Only the broker in the rooms' Worker lends these, so no other process is given them. */
const PROVIDER_KEYS = [
  "ANTHROPIC_API_KEY",
  "OPENAI_API_KEY",
  "OPENROUTER_API_KEY",
  "COMPATIBLE_API_KEY",
]

/** The demo model always works; real providers join when their key stands in the environment. */
function configuredProviders(env: NodeJS.ProcessEnv): string {
  const real = [
    ["anthropic", env.ANTHROPIC_API_KEY],
    ["openai", env.OPENAI_API_KEY],
    ["openrouter", env.OPENROUTER_API_KEY],
    ["compatible", env.COMPATIBLE_BASE_URL],
  ].flatMap(([name, value]) => (name && value ? [name] : []))
  return ["scripted", ...real].join(",")
}

async function responds(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_DEADLINE_MS) })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}

async function jobsReady(log: string): Promise<boolean> {
  try {
    return readFileSync(log, "utf8").includes("jobs ready")
  } catch {
    return false
  }
}

/** One stack per home: two would fight over its ports, files and sandboxes. */
function lockHome(home: string): () => void {
  const path = join(home, "stack.lock")
  const holder = readHolder(path)
  if (holder && signal(holder, 0)) {
    throw new Error(
      `A stack with pid ${holder} already runs in ${home}. Stop it, or choose another --home.`,
    )
  }
  rmSync(path, { force: true })
  const file = openSync(path, "wx")
  writeSync(file, String(process.pid))
  closeSync(file)
  return () => rmSync(path, { force: true })
}

function readHolder(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8")) || null
  } catch {
    return null
  }
}

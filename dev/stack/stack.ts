import { rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { assertPrograms, localProvider } from "../../server/sandbox/local.ts"
import { assertAnswers } from "../db/with-database.ts"
import { makeDirectory } from "../make-directory.ts"
import { buildAll } from "./builds.ts"
import { Child } from "./child.ts"
import { type DevIdentity, ensureDevIdentity } from "./dev-identity.ts"
import { assertFree } from "./free-ports.ts"
import { KeptPostgres } from "./kept-postgres.ts"
import { endLeftovers } from "./leftovers.ts"
import { lockHome } from "./lock-home.ts"
import { migrateDatabase } from "./migrate.ts"
import { portsFrom, stackParts } from "./parts.ts"
import { stackSecrets } from "./secrets.ts"

export type StackOptions = {
  /** Directory that holds everything of this stack. */
  home: string
  /** First of four consecutive ports on 127.0.0.1: web, rooms, PostgreSQL, model. */
  port: number
  /** Use this server instead of the embedded one. */
  databaseUrl?: string
  /** Next's development server, and jobs and rooms that start again when their code changes. */
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
  makeHome(home)
  const release = await lockHome(home)
  const stack = new RunningStack({ ...options, home }, release)
  try {
    await endLeftovers(home)
    return { line: await stack.start(), stop: () => stack.stop() }
  } catch (error) {
    await stack.stop()
    throw error
  }
}

function makeHome(home: string): void {
  try {
    makeDirectory(home)
  } catch (error) {
    const why = error instanceof Error && "code" in error ? error.code : error
    throw new Error(
      `The home ${home} cannot be made (${why}). Choose another --home (make dev: AGENT_OPS_HOME).`,
    )
  }
}

class RunningStack {
  readonly #options: StackOptions
  readonly #release: () => void
  readonly #children: Child[] = []
  readonly #postgres: KeptPostgres | null
  #stopped: Promise<void> | undefined

  constructor(options: StackOptions, release: () => void) {
    const { home, port, say = () => {} } = options
    this.#options = options
    this.#release = release
    this.#postgres = options.databaseUrl
      ? null
      : new KeptPostgres(
          { dataDir: join(home, "postgres"), port: portsFrom(port).postgres },
          () => this.#writePids(),
          say,
        )
  }

  async start(): Promise<StackLine> {
    const { home, port, databaseUrl, hotReload = false, env = {}, say = () => {} } = this.#options
    assertPrograms(env.OPENCODE_BIN ?? (process.env.OPENCODE_BIN || undefined))
    await assertPortsFree(port)
    if (databaseUrl) await assertAnswers(databaseUrl)
    // Both are waited for even when one fails, so that stop() finds everything that was started.
    const [database, builds] = await Promise.allSettled([
      databaseUrl ?? this.#postgres?.start() ?? "",
      buildAll({ web: !hotReload }, say),
    ])
    if (database.status === "rejected") throw database.reason
    if (builds.status === "rejected") throw builds.reason
    const url = database.value
    await migrateDatabase(url)
    const identity = await ensureDevIdentity(url, stackSecrets(home).apiKey)
    for (const part of stackParts({ home, port, databaseUrl: url, hotReload, env })) {
      this.#children.push(new Child(part, () => this.#writePids()))
    }
    await Promise.all(this.#children.map((child) => child.start()))
    return this.#line(url, identity)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()))
    try {
      await localProvider({ home: this.#options.home }).stopAll()
    } finally {
      await this.#postgres?.stop()
      rmSync(join(this.#options.home, "pids.json"), { force: true })
      this.#release()
    }
  }

  #pids(): Record<string, number | null> {
    const children = this.#children.map((child) => [child.name, child.pid] as const)
    return { ...Object.fromEntries(children), postgres: this.#postgres?.pid ?? null }
  }

  #writePids(): void {
    writeFileSync(join(this.#options.home, "pids.json"), JSON.stringify(this.#pids()))
  }

  #line(databaseUrl: string, identity: DevIdentity): StackLine {
    const { home, port } = this.#options
    const ports = portsFrom(port)
    this.#writePids()
    return {
      url: `http://localhost:${ports.web}`,
      roomsUrl: `http://127.0.0.1:${ports.rooms}`,
      ...identity,
      databaseUrl,
      home,
      pids: this.#pids(),
    }
  }
}

/** A stranger on one of the ports would answer in a part's place. PostgreSQL looks after its own. */
async function assertPortsFree(first: number): Promise<void> {
  const { postgres: _, ...ports } = portsFrom(first)
  const next = "Choose another first port with --port (make dev: PORT)."
  for (const [name, port] of Object.entries(ports)) await assertFree(port, name, next)
}

import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { mintId, sessionIdSchema } from "#protocol/ids"
import { launchPostgres, type Postgres } from "../../dev/postgres/launch.ts"
import { migrateDatabase } from "../../dev/stack/migrate.ts"
import { verifyKey } from "../../server/auth/keys.ts"
import { connectDatabase, type Database } from "../../server/db.ts"
import type { DomainContext } from "../../server/domain/context.ts"
import { createSession, terminateSession } from "../../server/domain/sessions/index.ts"
import { localProvider } from "../../server/sandbox/local.ts"
import { idOf, patient, specOf } from "../../server/sandbox/provider.contract.ts"
import { testSystem } from "../../server/testing/context.ts"
import { createOwner, TestRoom } from "../../server/testing/factories.ts"
import { type RoomServer, startRoomServer } from "../../server/testing/room-server.ts"
import { testKeys } from "./start-rooms.ts"

const SCRIPT = fileURLToPath(new URL("./jobs-process.ts", import.meta.url))

/** Stands for the runner: stays until it is told to go, with a child that left it. */
const RUNNER = `
import { spawn } from "node:child_process"
spawn("setsid", ["sleep", "86400"], { stdio: "ignore", detached: true, env: {} }).unref()
setInterval(() => undefined, 60_000)
process.on("SIGTERM", () => process.exit(0))
`

const keys = testKeys()
let base: string
let home: string
let runner: string
let postgres: Postgres
let databaseUrl: string
let db: Database
let rooms: RoomServer
const children: ChildProcess[] = []

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "adoption-"))
  home = join(base, "home")
  runner = join(base, "runner.js")
  writeFileSync(runner, RUNNER)
  postgres = await launchPostgres({ dataDir: join(base, "postgres"), isThrowaway: true })
  databaseUrl = postgres.url.replace(/\/postgres$/, "/agent_ops")
  await migrateDatabase(databaseUrl)
  db = connectDatabase(databaseUrl)
  rooms = await startRoomServer(verifyKey(keys.server.publicKey))
})

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child)
})

afterAll(async () => {
  const provider = localProvider({ home, graceMs: 100 })
  for (const { id } of await provider.list()) await provider.terminate(id)
  await rooms.close()
  await db.$disconnect()
  await postgres.stop()
  rmSync(base, { recursive: true, force: true })
})

/** Starts the worker; answers before it is ready. */
function startJobs(): ChildProcess {
  const child = spawn(process.execPath, [SCRIPT, "--runner", runner], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: "test",
      AGENT_OPS_LOCAL: "1",
      AGENT_OPS_HOME: home,
      DATABASE_URL: databaseUrl,
      APP_URL: "http://localhost:1",
      ROOMS_URL: rooms.url,
      SERVER_SIGNING_KEY: keys.server.seed,
      ROOMS_VERIFY_KEY: keys.rooms.publicKey,
      MODEL_PROVIDERS: "scripted",
      LOG_LEVEL: "error",
    },
  })
  children.push(child)
  return child
}

async function readyJobs(): Promise<ChildProcess> {
  const child = startJobs()
  await once(child.stdout ?? child, "data", { signal: AbortSignal.timeout(20_000) })
  return child
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, "exit")
  child.kill(signal)
  await gone
}

async function owner(): Promise<DomainContext> {
  const system = {
    ...testSystem(db, { sandboxProvider: "local" }),
    now: () => new Date(),
    mint: (prefix: Parameters<typeof mintId>[0]) => mintId(prefix, Date.now(), randomBytes(16)),
  }
  return { ...system, actor: await createOwner(system) }
}

async function newSession(ctx: DomainContext) {
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  return sessionIdSchema.parse((await createSession(ctx, wish)).id)
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`within 20 s it did not happen that ${what}`)
    await delay(25)
  }
}

/** Processes of this test's home: runners by what they run, and whatever stands in a sandbox's directory. */
function pidsOf(sessionId: string): number[] {
  const directory = join(home, "sandboxes", sessionId)
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const inside = readFileSync(`/proc/${name}/environ`, "utf8").includes(directory)
      return inside ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

const stateOf = async (sessionId: string) =>
  (await db.sandbox.findFirst({ where: { sessionId }, orderBy: { generation: "desc" } }))?.state

const hasMachine = async (sessionId: string) => {
  const { phases } = await db.sandbox.findFirstOrThrow({ where: { sessionId } })
  return JSON.stringify(phases).includes('"done"')
}

test("sandboxes outlive a killed worker, the next one adopts what it knows and ends the rest", async () => {
  const ctx = await owner()
  const first = await readyJobs()
  const sessionId = await newSession(ctx)
  await until("the machine is made", () => hasMachine(sessionId))
  await new TestRoom(ctx, { id: sessionId }).ready()
  const running = pidsOf(sessionId)
  expect(running.length).toBeGreaterThan(0)

  await kill(first)
  const orphan = specOf()
  const elsewhere = localProvider({ home, runner, graceMs: 100 })
  await elsewhere.create(orphan, patient())
  expect(pidsOf(sessionId)).toEqual(running)

  await readyJobs()
  await until("the orphan is ended", async () => (await elsewhere.status(idOf(orphan))) === "gone")
  expect(pidsOf(orphan.sessionId)).toEqual([])
  expect(pidsOf(sessionId)).toEqual(running)
  expect(await stateOf(sessionId)).toBe("ready")

  await terminateSession(ctx, { sessionId })
  await until("its sandbox is stopped", async () => (await stateOf(sessionId)) === "stopped")
  await until(
    "its directory is gone",
    () => !readdirSync(join(home, "sandboxes")).includes(sessionId),
  )
  expect(pidsOf(sessionId)).toEqual([])
})

test("a worker killed at any instant of a create leaves one machine once the next has gone on", async () => {
  const ctx = await owner()
  let jobs = await readyJobs()
  for (const afterMs of [0, 15, 30, 45, 60, 90, 150]) {
    const sessionId = await newSession(ctx)
    await delay(afterMs)
    await kill(jobs)
    jobs = await readyJobs()
    await until("the machine is made", () => hasMachine(sessionId))
    const runners = pidsOf(sessionId).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(runner),
    )
    expect({ afterMs, runners: runners.length }).toEqual({ afterMs, runners: 1 })
    await terminateSession(ctx, { sessionId })
    await until("its sandbox is stopped", async () => (await stateOf(sessionId)) === "stopped")
    expect(pidsOf(sessionId)).toEqual([])
  }
})

test("SIGTERM lets the worker end in order and leaves its sandboxes running", async () => {
  const ctx = await owner()
  const jobs = await readyJobs()
  const sessionId = await newSession(ctx)
  await until("the machine is made", () => hasMachine(sessionId))
  await kill(jobs, "SIGTERM")
  expect(jobs.exitCode).toBe(0)
  expect(pidsOf(sessionId).length).toBeGreaterThan(0)
})

import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import * as z from "zod"
import type { Database } from "../db.ts"
import type { Settings } from "../domain/context.ts"
import { env } from "../env.ts"
import { system } from "../system.ts"
import { json } from "./json-response.ts"

const CHECK_DEADLINE_MS = 2_000

/** What later versions store elsewhere has its place here, so that who reads this need not change. */
const ABSENT = {
  blob: { state: "none", message: "This version stores no files." },
  kv: { state: "none", message: "This version keeps no rate limits and no caches." },
}

type PartState = { state: "up"; ms: number } | { state: "down"; message: string }

type Health = {
  db: Database
  roomsUrl: string
  settings: Pick<Settings, "modelProviders" | "sandboxProvider">
  /** Where a local stack keeps the process ids of its parts; null elsewhere. */
  pidsFile: string | null
}

/** Each part with its own state; 503 when one that the product cannot do without is down. */
export async function serveHealth({ db, roomsUrl, settings, pidsFile }: Health): Promise<Response> {
  const [database, rooms, pids] = await Promise.all([
    check("The database", () => db.$queryRaw`select 1`),
    check("The rooms", () => getOk(`${roomsUrl}/health`)),
    pidsFile === null ? undefined : readPids(pidsFile),
  ])
  const providers = settings.modelProviders
  const model = { state: providers.length > 0 ? "configured" : "none", providers }
  const provider = { state: "configured", name: settings.sandboxProvider }
  const ok = database.state === "up" && rooms.state === "up"
  return json({ ok, database, rooms, provider, ...ABSENT, model, pids }, { status: ok ? 200 : 503 })
}

export function GET(): Promise<Response> {
  const { AGENT_OPS_LOCAL, AGENT_OPS_HOME, ROOMS_URL } = env()
  const { db, settings } = system()
  const pidsFile = AGENT_OPS_LOCAL && AGENT_OPS_HOME ? join(AGENT_OPS_HOME, "pids.json") : null
  return serveHealth({ db, roomsUrl: ROOMS_URL, settings, pidsFile })
}

async function check(part: string, probe: () => PromiseLike<unknown>): Promise<PartState> {
  const startedAt = performance.now()
  const late = new AbortController()
  const deadline = delay<PartState>(
    CHECK_DEADLINE_MS,
    { state: "down", message: `${part} did not answer in ${CHECK_DEADLINE_MS} ms.` },
    { signal: late.signal },
  )
  const answered = Promise.resolve(probe()).then(
    (): PartState => ({ state: "up", ms: Math.round(performance.now() - startedAt) }),
    (): PartState => ({ state: "down", message: `${part} cannot be reached.` }),
  )
  const state = await Promise.race([answered, deadline])
  late.abort()
  return state
}

async function getOk(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(CHECK_DEADLINE_MS) })
  if (!response.ok) throw new Error(`answered ${response.status}`)
}

const pidsSchema = z.record(z.string(), z.int().positive().nullable())

/** The current process ids by part. The file may be missing or half-written while parts restart. */
async function readPids(file: string): Promise<Record<string, number | null> | undefined> {
  const text = await readFile(file, "utf8").catch(() => "")
  try {
    return pidsSchema.safeParse(JSON.parse(text)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

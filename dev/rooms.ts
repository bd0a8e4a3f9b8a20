import { mkdirSync, mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"
import * as z from "zod"
import { bindingsSchema } from "../party/env.ts"
import { giveUp, portOption, readOptions } from "./command-line.ts"
import { assertFree } from "./stack/free-ports.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** Names of the Worker's settings that are passed on from this process's environment. */
const BINDING_NAMES = [
  "WEB_URL",
  "ALLOWED_ORIGINS",
  "ROOMS_SIGNING_KEY",
  "SERVER_VERIFY_KEY",
  "AGENT_OPS_LOCAL",
  "MODEL_URL",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_BASE_URL",
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "OPENROUTER_API_KEY",
  "OPENROUTER_BASE_URL",
  "COMPATIBLE_API_KEY",
  "COMPATIBLE_BASE_URL",
]

export type Rooms = {
  url: string
  /** Does what the deployed Worker's cron does each minute; locally nothing does it by itself. */
  runCron: () => Promise<void>
  close: () => Promise<void>
}

/**
 * Runs the rooms' Worker on 127.0.0.1 in one workerd: the runtime of production without wrangler's second process and
 * proxy. `port` 0 picks a free one; `persistDir` holds the rooms' SQLite files.
 */
export async function startRooms(options: {
  port: number
  persistDir: string
  bindings: Record<string, string | undefined>
}): Promise<Rooms> {
  const bindings = Object.fromEntries(
    BINDING_NAMES.flatMap((name) => {
      const value = options.bindings[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
  const persistDir = resolve(options.persistDir)
  mkdirSync(persistDir, { recursive: true })
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      host: "127.0.0.1",
      // Callers reach the Worker itself; miniflare's own door, with a proxy in front, stays unused.
      unsafeDirectSockets: [{ host: "127.0.0.1", port: options.port }],
      modules: [{ type: "ESModule", path: "worker.js", contents: await bundle() }],
      ...workerSettings(),
      bindings,
      durableObjects: {
        Session: { className: "Session", useSQLite: true },
        Bus: { className: "Bus", useSQLite: true },
      },
    }),
    resourcePersistencePath: persistDir,
  })
  await miniflare.ready
  const url = await miniflare.unsafeGetDirectURL()
  return { url: url.origin, runCron: () => runCron(miniflare), close: () => miniflare.dispose() }
}

async function runCron(miniflare: Miniflare): Promise<void> {
  const worker = await miniflare.getWorker()
  const { outcome } = await worker.scheduled({ cron: "* * * * *" })
  if (outcome !== "ok") throw new Error(`The cron of the rooms' Worker ended with ${outcome}`)
}

async function bundle(): Promise<string> {
  const result = await build({
    entryPoints: [join(ROOT, "party/worker.ts")],
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    write: false,
    logLevel: "warning",
  })
  const [file] = result.outputFiles
  if (!file) throw new Error("The rooms' Worker did not bundle")
  return file.text
}

/** The compatibility settings that production deploys with, so that both run the same runtime. */
function workerSettings(): { compatibilityDate: string; compatibilityFlags: string[] } {
  const config = JSON.parse(readFileSync(join(ROOT, "party/wrangler.jsonc"), "utf8"))
  return {
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
  }
}

if (import.meta.main) {
  const values = readOptions(
    { port: { type: "string", default: "0" }, persist: { type: "string" } },
    "npm run dev:rooms -- [--port N] [--persist DIR]",
  )
  const port = portOption(values.port)
  const stop = stopSignal()
  const settings = bindingsSchema.safeParse(process.env)
  if (!settings.success) {
    console.error(
      `The rooms' configuration is not usable; see .env.example.\n${z.prettifyError(settings.error)}`,
    )
    process.exit(1)
  }
  await assertFree(port, "", "Choose another --port.").catch(giveUp)
  const persistDir = values.persist ?? mkdtempSync(join(tmpdir(), "agent-ops-rooms-"))
  const rooms = await startRooms({ port, persistDir, bindings: process.env })
  console.log(JSON.stringify({ url: rooms.url, pid: process.pid }))
  await aborted(stop)
  await rooms.close()
  process.exit(0)
}

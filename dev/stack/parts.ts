import { join } from "node:path"
import { hasChildren } from "../process-identity.ts"
import { ROOT } from "./builds.ts"
import type { ChildSpec } from "./child.ts"
import { refuses } from "./free-ports.ts"
import { STACK_MARK } from "./leftovers.ts"
import { stackSecrets } from "./secrets.ts"

const READY_DEADLINE_MS = 90_000
const PROBE_DEADLINE_MS = 1_000

export type PartsOptions = {
  home: string
  port: number
  databaseUrl: string
  hotReload: boolean
  /** More environment for every part: deadlines, provider keys. */
  env: Record<string, string>
}

/** The ports of a stack on 127.0.0.1, by the part that listens there. */
export function portsFrom(first: number) {
  return { web: first, rooms: first + 1, postgres: first + 2, model: first + 3 }
}

/** The processes of a stack beside PostgreSQL, each with the environment that it needs and no more secrets. */
export function stackParts(options: PartsOptions): ChildSpec[] {
  const { home, hotReload } = options
  const ports = portsFrom(options.port)
  const { common, server, rooms } = environments(options)
  const shared = {
    command: process.execPath,
    cwd: ROOT,
    logDir: join(home, "logs"),
    readyDeadlineMs: READY_DEADLINE_MS,
  }
  const next = join(ROOT, "node_modules/next/dist/bin/next")
  const watched = (...args: string[]) => (hotReload ? args : [])
  // With hot reload each process stands in front of the one that works, and outlives it.
  const lacksWorker = (pid: number) => hotReload && !hasChildren(pid)
  return [
    {
      ...shared,
      name: "model",
      env: common,
      args: ["dev/model/server.ts", "--port", String(ports.model)],
      isReady: () => responds(`http://127.0.0.1:${ports.model}/health`),
      isHollow: () => refuses(ports.model),
    },
    {
      ...shared,
      name: "rooms",
      env: { ...common, ...rooms },
      args: [
        ...watched("--watch-path=party", "--watch-preserve-output"),
        "dev/rooms.ts",
        "--port",
        String(ports.rooms),
        "--persist",
        join(home, "rooms"),
      ],
      isReady: () => responds(`http://127.0.0.1:${ports.rooms}/health`),
      // Node outlives its workerd.
      isHollow: async (pid) => lacksWorker(pid) || (await refuses(ports.rooms)),
    },
    {
      ...shared,
      name: "web",
      env: { ...common, ...server },
      args: [next, hotReload ? "dev" : "start", "-H", "127.0.0.1", "-p", String(ports.web)],
      isReady: () => responds(`http://127.0.0.1:${ports.web}/api/health`),
      isHollow: async (pid) => lacksWorker(pid) || (await refuses(ports.web)),
    },
    {
      ...shared,
      name: "jobs",
      env: { ...common, ...server },
      args: [...watched("--watch", "--watch-preserve-output"), "server/jobs/worker.ts"],
      isReady: async (said) => said().includes("jobs ready"),
      isHollow: async (pid) => lacksWorker(pid),
    },
  ]
}

function environments({ home, port, databaseUrl, hotReload, env }: PartsOptions) {
  const ports = portsFrom(port)
  const secrets = stackSecrets(home)
  const given = { ...process.env, ...env }
  const keys = pick(given, PROVIDER_KEYS)
  // Only the server's parts are told where the database is.
  const common: NodeJS.ProcessEnv = {
    ...without(given, [...PROVIDER_KEYS, "DATABASE_URL"]),
    NODE_ENV: hotReload ? "development" : "production",
    NEXT_TELEMETRY_DISABLED: "1",
    NODE_OPTIONS: "",
    [STACK_MARK]: home,
    AGENT_OPS_LOCAL: "1",
    AGENT_OPS_HOME: home,
  }
  const server = {
    DATABASE_URL: databaseUrl,
    APP_URL: `http://localhost:${ports.web}`,
    ROOMS_URL: `http://127.0.0.1:${ports.rooms}`,
    SERVER_SIGNING_KEY: secrets.serverSigningKey,
    ROOMS_VERIFY_KEY: secrets.roomsVerifyKey,
    MODEL_PROVIDERS: configuredProviders(given),
    ...without(env, PROVIDER_KEYS),
  }
  const rooms = {
    WEB_URL: `http://127.0.0.1:${ports.web}`,
    ALLOWED_ORIGINS: `http://localhost:${ports.web}`,
    MODEL_URL: `http://127.0.0.1:${ports.model}`,
    SERVER_VERIFY_KEY: secrets.serverVerifyKey,
    ROOMS_SIGNING_KEY: secrets.roomsSigningKey,
    ...keys,
    ...env,
  }
  return { common, server, rooms }
}

/** Only the broker in the rooms' Worker lends these, so no other process is given them. */
const PROVIDER_KEYS = [
  "ANTHROPIC_API_KEY",
  "OPENAI_API_KEY",
  "OPENROUTER_API_KEY",
  "COMPATIBLE_API_KEY",
]

/** Those of the variables that are set to something. */
function pick(env: Record<string, string | undefined>, names: readonly string[]) {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => value && names.includes(name)),
  )
}

function without(env: Record<string, string | undefined>, names: readonly string[]) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)))
}

/** The demo model always works; real providers join when their key stands in the environment. */
function configuredProviders(env: Record<string, string | undefined>): string {
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

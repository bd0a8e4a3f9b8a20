import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as z from "zod"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import { readProcesses } from "../../server/sandbox/local/process-table.ts"
import { HOME_PREFIX } from "./fault-stack.ts"
import { killAtOnce, processesOf } from "./processes.ts"
import { until } from "./until.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const READY_WITHIN_MS = 240_000
const AGAIN_WITHIN_MS = 90_000
const ANSWER_WITHIN_MS = 10_000
const PARTS = ["model", "rooms", "web", "jobs", "postgres"] as const

const pidsSchema = z.record(z.string(), z.number().nullable())

let home = ""
let port = 0

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), `${HOME_PREFIX}${process.pid}-`))
  port = await freePorts(4)
})

afterEach(async () => {
  await killAtOnce(here)
  rmSync(home, { recursive: true, force: true, maxRetries: 3 })
})

/** The processes that work for this home. */
const here = () => processesOf(home).map(({ pid }) => pid)

/** `npm run dev` as `make dev` starts it. Resolves once it has printed where to stop it. */
async function start(): Promise<ChildProcess> {
  const { PATH } = process.env
  const npm = spawn("npm", ["run", "--silent", "dev"], {
    cwd: ROOT,
    detached: true,
    env: { PATH, HOME: home, AGENT_OPS_HOME: home, PORT: `${port}`, NODE_ENV: "development" },
    stdio: ["ignore", "pipe", "inherit"],
  })
  if (!npm.stdout) throw new Error("npm has no standard output")
  const ready = AbortSignal.timeout(READY_WITHIN_MS)
  const lines: string[] = []
  for await (const line of createInterface({ input: npm.stdout, signal: ready })) {
    lines.push(line)
    if (line.startsWith("Logs:")) return npm
  }
  throw new Error(`It ended instead of starting: ${lines.join("\n")}`)
}

async function endsWithoutTrace(npm: ChildProcess): Promise<void> {
  const ended = once(npm, "exit")
  signal(npm.pid ?? 0, "SIGTERM")
  await ended
  await until("every process to end", AGAIN_WITHIN_MS, () => here().length === 0)
}

/** The stack of `npm run dev` lives on one set of ports: each part answers, and from one process tree alone. */
async function isWhole(): Promise<boolean> {
  const answers = await Promise.all(
    [`:${port}/api/health`, `:${port + 1}/health`, `:${port + 3}/health`].map(async (path) => {
      const deadline = AbortSignal.timeout(ANSWER_WITHIN_MS)
      return (await fetch(`http://127.0.0.1:${path.slice(1)}`, { signal: deadline })).ok
    }),
  )
  return answers.every(Boolean) && (await members("jobs")).length > 1
}

function pid(part: string): number {
  const pids = pidsSchema.parse(JSON.parse(readFileSync(join(home, "pids.json"), "utf8")))
  return pids[part] ?? 0
}

/** A part's process and all that descend from it. */
async function members(part: string): Promise<number[]> {
  const processes = await readProcesses()
  const found = [pid(part)]
  for (const parent of found) {
    found.push(...processes.filter((one) => one.parent === parent).map((one) => one.pid))
  }
  return found
}

describe("`npm run dev`", () => {
  test("told to end leaves no process", async () => {
    await endsWithoutTrace(await start())
  })

  test.for([
    ["npm alone", (npm: number) => npm],
    ["npm and what it started", (npm: number) => -npm],
  ] as const)("killed (%s) leaves nothing that the next one does not end or use", async (wish) => {
    const [, target] = wish
    const killed = await start()
    const before = here()
    signal(target(killed.pid ?? 0), "SIGKILL")
    const npm = await start()
    const postgres = await members("postgres")
    const left = here().filter((one) => before.includes(one) && !postgres.includes(one))
    expect(left).toEqual([])
    await until("every part to work", AGAIN_WITHIN_MS, isWhole)
    await endsWithoutTrace(npm)
  })

  test("a part whose process is killed, or any process that works for it, comes back and nothing earlier is left", async () => {
    const npm = await start()
    for (const part of PARTS) {
      const depths = part === "postgres" ? 1 : (await members(part)).length
      for (let depth = 0; depth < depths; depth++) {
        const before = await members(part)
        const victim = before[depth]
        if (victim === undefined) continue
        signal(victim, "SIGKILL")
        await until(`${part} without its process ${depth}`, AGAIN_WITHIN_MS, async () => {
          return (await isWhole()) && !(await members(part)).includes(victim)
        })
        if (depth > 0) continue
        const alive = here()
        expect(
          before.filter((one) => alive.includes(one)),
          part,
        ).toEqual([])
      }
    }
    await endsWithoutTrace(npm)
  })
})

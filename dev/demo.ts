import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { takeNoOptions } from "./command-line.ts"
import { type DemoResult, runDemo } from "./demo/run-demo.ts"
import { removeAbandonedStacks } from "./stack/abandoned.ts"
import { freePorts } from "./stack/free-ports.ts"
import { startStack } from "./stack/stack.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const DEMO_DEADLINE_MS = 8 * 60_000
const PORTS = 4
const HOME_PREFIX = "agent-ops-demo-"

takeNoOptions("npm run demo; it takes JSON=1 and DEMO_MODEL=provider/model from the environment")
const asJson = process.env.JSON === "1"
const model = process.env.DEMO_MODEL || "scripted/demo"
const write = (text: string) => {
  if (!asJson) process.stdout.write(text)
}

const stop = AbortSignal.any([stopSignal(), AbortSignal.timeout(DEMO_DEADLINE_MS)])
await removeAbandonedStacks(HOME_PREFIX)
const home = mkdtempSync(join(tmpdir(), HOME_PREFIX))
const outcome = await demo().catch((error: unknown) => failed(messageOf(error)))
if (asJson) console.log(JSON.stringify(outcome))
if (outcome.ok) rmSync(home, { recursive: true, force: true })
else console.error(`${outcome.why}\nThe demo did not succeed. Logs and data are kept in ${home}`)
process.exit(outcome.ok ? 0 : 1)

type Failure = { ok: false; why: string }

async function demo(): Promise<DemoResult | Failure> {
  write("Starting a private stack…\n")
  const startedAt = performance.now()
  const say = (line: string) => write(`${line}\n`)
  const stack = await startStack({ home, port: await freePorts(PORTS), say })
  try {
    write(`Ready after ${seconds(performance.now() - startedAt)} at ${stack.line.url}\n\n`)
    const result = await Promise.race([runDemo(stack.line, model, write), stopped()])
    if ("diff" in result) print(result)
    return result
  } finally {
    await stack.stop()
  }
}

async function stopped(): Promise<Failure> {
  await aborted(stop)
  return failed("The demo was stopped, or took too long.")
}

function failed(why: string): Failure {
  return { ok: false, why }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function print(result: DemoResult): void {
  write(`\n${result.diff}\n\n`)
  write(
    `The repository's tests in the sandbox: before ${result.testsBefore}, after ${result.testsAfter} (${result.testsRun} ran)\n`,
  )
  for (const { phase, durationMs } of result.boot) {
    write(`  ${phase.padEnd(12)} ${durationMs === null ? "–" : seconds(durationMs)}\n`)
  }
  write(`  create answered after ${result.createMs} ms\n`)
  if (result.firstWordMs !== null) write(`  first word after ${seconds(result.firstWordMs)}\n`)
  write(
    `  prompt ${result.promptState} after ${seconds(result.turnMs)}, ${result.entries} entries\n`,
  )
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}

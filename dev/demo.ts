import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type DemoResult, runDemo } from "./demo/run-demo.ts"
import { freePorts } from "./stack/free-ports.ts"
import { startStack } from "./stack/stack.ts"

const DEMO_DEADLINE_MS = 8 * 60_000
const PORTS = 5

const asJson = process.env.JSON === "1"
const model = process.env.DEMO_MODEL ?? "scripted/demo"
const write = (text: string) => {
  if (!asJson) process.stdout.write(text)
}

// The stack's directory is private to this run; PostgreSQL's account must be able to pass through it.
const home = mkdtempSync(join(tmpdir(), "agent-ops-demo-"))
const overdue = setTimeout(() => {
  console.error(
    `The demo was not done after ${DEMO_DEADLINE_MS / 60_000} minutes. Logs: ${home}/logs`,
  )
  process.exit(1)
}, DEMO_DEADLINE_MS)

write("Starting a private stack…\n")
const startedAt = performance.now()
let exitCode = 1
const stack = await startStack({
  home,
  port: await freePorts(PORTS),
  say: (line) => write(`${line}\n`),
})
try {
  write(`Ready after ${seconds(performance.now() - startedAt)} at ${stack.line.url}\n\n`)
  const result = await runDemo(stack.line, model, write)
  if (asJson) console.log(JSON.stringify(result))
  else print(result)
  exitCode = result.ok ? 0 : 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
} finally {
  await stack.stop()
  clearTimeout(overdue)
}
if (exitCode === 0) rmSync(home, { recursive: true, force: true })
else console.error(`The demo failed. Logs and data are kept in ${home}`)
process.exit(exitCode)

function print(result: DemoResult): void {
  write(`\n${result.diff}\n\n`)
  write(
    `The repository's tests in the sandbox: before ${result.testsBefore}, after ${result.testsAfter}\n`,
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

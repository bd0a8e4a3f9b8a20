import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endCommandsOnSignal, runCommand } from "./run-command.ts"
import {
  addCounts,
  afterRepeat,
  type Counts,
  failuresOf,
  filesToRepeat,
  isGreen,
  type Outcome,
  outcomeOf,
  type Stage,
  stageCounts,
  summaryLine,
} from "./test-counts.ts"

/** Every check and test that CI runs, one stage after the other; a failed stage does not hide the next ones.
 *  A test file that failed is run once more: what passes then is named as unsteady, at the end, and is a fault to mend. */
const minute = 60_000

const stages: Stage[] = [
  { name: "verify", command: ["node", "dev/verify.ts"], deadlineMs: 5 * minute },
  { name: "unit tests", vitest: "vitest.config.ts", deadlineMs: 15 * minute },
  {
    name: "simulation",
    vitest: "tests/simulation/vitest.config.ts",
    env: { SIMULATION_HISTORIES: "500" },
    deadlineMs: 15 * minute,
  },
  // The stacks of the later stages run this build.
  { name: "web and runner build", command: ["node", "dev/build.ts"], deadlineMs: 5 * minute },
  { name: "rooms build", command: ["npm", "run", "rooms:build"], deadlineMs: 3 * minute },
  {
    name: "integration tests",
    vitest: "tests/integration/vitest.config.ts",
    deadlineMs: 35 * minute,
  },
  {
    name: "fault tests",
    vitest: "tests/faults/vitest.config.ts",
    env: { FAULT_SEEDS: "5" },
    deadlineMs: 40 * minute,
  },
  { name: "demo", command: ["npm", "run", "demo"], deadlineMs: 10 * minute },
]

endCommandsOnSignal()
const reports = mkdtempSync(join(tmpdir(), "agent-ops-test-"))
const failures: string[] = []
const unsteady: string[] = []
let total: Counts = { passed: 0, failed: 0, skipped: 0 }

for (const stage of stages) {
  console.log(`\n== ${stage.name}`)
  const startedAtMs = performance.now()
  const outcome = await repeatFailed(stage, await run(stage))
  const counts = stageCounts(stage, outcome)
  failures.push(...failuresOf(stage, outcome))
  const elapsedS = Math.round((performance.now() - startedAtMs) / 1000)
  console.log(`== ${stage.name}: ${summaryLine(counts)} (${elapsedS} s)`)
  total = addCounts(total, counts)
}

rmSync(reports, { recursive: true, force: true })
for (const test of unsteady) console.log(`unsteady, passed at the second run: ${test}`)
for (const failure of failures) console.log(`failed: ${failure}`)
console.log(`\n${summaryLine(total)}`)
process.exitCode = isGreen(total) ? 0 : 1

async function run(stage: Stage, files: string[] = []): Promise<Outcome> {
  const report = join(reports, `${stage.name.replaceAll(" ", "-")}.json`)
  rmSync(report, { force: true })
  const ended = await runCommand(stageCommand(stage, report, files), stage)
  if (!ended.ok) console.log(`== ${stage.name} ${ended.reason}`)
  return outcomeOf(ended.ok, readReport(report))
}

async function repeatFailed(stage: Stage, first: Outcome): Promise<Outcome> {
  const files = filesToRepeat(first)
  if (files.length === 0) return first
  console.log(`\n== ${stage.name}, once more: ${files.join(", ")}`)
  const repeated = afterRepeat(first, await run(stage, files))
  unsteady.push(...repeated.unsteady)
  return repeated.outcome
}

function stageCommand(stage: Stage, report: string, files: string[]): string[] {
  if ("command" in stage) return stage.command
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  return ["vitest", "run", "--config", stage.vitest, ...reporters, ...files]
}

function readReport(file: string): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
}

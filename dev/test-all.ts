import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endCommandsOnSignal, runCommand } from "./run-command.ts"
import {
  addCounts,
  type Counts,
  failuresOf,
  isGreen,
  type Stage,
  stageCounts,
  summaryLine,
} from "./test-counts.ts"

/** Every check and test that CI runs, one stage after the other; a failed stage does not hide the next ones. */
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
let total: Counts = { passed: 0, failed: 0, skipped: 0 }

for (const stage of stages) {
  console.log(`\n== ${stage.name}`)
  const report = join(reports, `${stage.name.replaceAll(" ", "-")}.json`)
  const outcome = await runCommand(stageCommand(stage, report), stage)
  const results = readReport(report)
  const counts = stageCounts(stage, outcome.ok, results)
  failures.push(...failuresOf(stage, outcome.ok, results))
  if (!outcome.ok) console.log(`== ${stage.name} ${outcome.reason}`)
  console.log(
    `== ${stage.name}: ${summaryLine(counts)} (${Math.round(outcome.elapsedMs / 1000)} s)`,
  )
  total = addCounts(total, counts)
}

rmSync(reports, { recursive: true, force: true })
for (const failure of failures) console.log(`failed: ${failure}`)
console.log(`\n${summaryLine(total)}`)
process.exitCode = isGreen(total) ? 0 : 1

function stageCommand(stage: Stage, report: string): string[] {
  if ("command" in stage) return stage.command
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  return ["vitest", "run", "--config", stage.vitest, ...reporters]
}

function readReport(file: string): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
}

import { endCommandsOnSignal, type Outcome, runCommand } from "./run-command.ts"

/** Every check that needs no database, at most two at a time; all of them run, whatever fails. */
const deadlineMs = 180_000
const atOnce = 2

type Check = { name: string; command: string[] }

// Types and routes are generated first because the compilers read them.
const generated: Check[] = [
  { name: "prisma generate", command: ["prisma", "generate"] },
  { name: "next typegen", command: ["next", "typegen"] },
]

// Longest first, so that the short ones fill the gaps.
const checks: Check[] = [
  { name: "types: server, dev, tests", command: ["tsc", "--noEmit"] },
  { name: "types: app", command: ["tsc", "--noEmit", "-p", "app"] },
  { name: "types: rooms", command: ["tsc", "--noEmit", "-p", "party"] },
  { name: "types: runner", command: ["tsc", "--noEmit", "-p", "runner"] },
  { name: "dead code", command: ["knip", "--no-progress"] },
  { name: "import rules", command: ["npm", "run", "--silent", "boundaries"] },
  { name: "format and lint", command: ["biome", "ci", "--colors=off", "."] },
  { name: "paths in documents", command: ["node", "dev/doc-paths.ts"] },
]

async function run(list: Check[]): Promise<Outcome[]> {
  const waiting = [...list]
  const outcomes: Outcome[] = []
  const lane = async () => {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const outcome = await runCommand(check.command, {
        deadlineMs,
        capture: true,
        env: { NO_COLOR: "1" },
      })
      outcomes.push(outcome)
      report(check, outcome)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return outcomes
}

function report({ name, command }: Check, { ok, reason, output, elapsedMs }: Outcome) {
  const seconds = `${(elapsedMs / 1000).toFixed(1)} s`
  if (ok) return console.log(`  ok    ${name} (${seconds})`)
  console.log(`  FAIL  ${name} (${seconds}): \`${command.join(" ")}\` ${reason}`)
  console.log(output.trimEnd().replace(/^/gm, "        "))
}

endCommandsOnSignal()
const outcomes = [...(await run(generated)), ...(await run(checks))]
const failed = outcomes.filter(({ ok }) => !ok).length
console.log(
  failed === 0
    ? `${outcomes.length} checks passed`
    : `${failed} of ${outcomes.length} checks failed`,
)
process.exitCode = failed === 0 ? 0 : 1

import { expect, test } from "vitest"
import type { Conversation, Turn } from "./conversation.ts"
import type { Step, ToolStep } from "./script.ts"
import { tourResponse } from "./tour.ts"

type Files = Record<string, string>

/** Plays the whole tour against answers made from these files, and answers the steps it took. */
function wholeTour(files: Files, toolNames = ["bash", "read", "write"]): Step[] {
  const turns: Turn[] = [{ role: "user", text: "Fix the login page." }]
  const taken: Step[] = []
  for (let round = 0; round < 10; round++) {
    const steps = tourResponse(conversation(turns, toolNames))
    taken.push(...steps)
    const calls = steps.flatMap(callsOf).map((step, index) => ({ id: `${round}.${index}`, step }))
    if (calls.length === 0) return taken
    turns.push({
      role: "assistant",
      calls: calls.map(({ id, step }) => ({ id, name: step.tool, input: step.input })),
    })
    for (const { id, step } of calls) {
      turns.push({ role: "tool", callId: id, output: outputOf(step, files) })
    }
  }
  throw new Error("The tour does not end.")
}

function conversation(turns: Turn[], toolNames: string[]): Conversation {
  const system = "Working directory: /repo"
  return { model: "demo", stream: true, streamUsage: true, system, toolNames, turns }
}

function callsOf(step: Step): ToolStep[] {
  if ("tool" in step) return [step]
  return "parallel" in step ? step.parallel : []
}

function outputOf({ tool, input }: ToolStep, files: Files): string {
  const command = String(input.command)
  if (tool === "write") return "Wrote file successfully."
  if (tool === "read") return files[String(input.filePath).replace("/repo/", "")] ?? ""
  if (command.startsWith("ls")) return Object.keys(files).join("\n")
  if (command.startsWith("cat ")) return files[command.slice(4)] ?? ""
  return "2 tests failed\nexit code: 1\n"
}

function commands(steps: Step[]): string[] {
  return steps
    .flatMap(callsOf)
    .map(({ tool, input }) => `${tool} ${input.command ?? input.filePath}`)
}

function lastWords(steps: Step[]): string {
  const last = steps.at(-1)
  return last && "say" in last ? last.say : ""
}

const withTests = '{ "scripts": { "test": "vitest run" } }'

test("lists the files, reads the README, runs the tests that package.json names, writes notes", () => {
  const steps = wholeTour({ "README.md": "# Hi", "package.json": withTests, "src/": "" })
  expect(commands(steps)).toEqual([
    "bash ls -1Ap",
    "read /repo/README.md",
    "bash cat package.json",
    'bash CI=1 npm test; echo "exit code: $?"',
    "write /repo/AGENT_NOTES.md",
  ])
  const notes = String(steps.flatMap(callsOf).at(-1)?.input.content)
  expect(notes).toContain("- package.json")
  expect(notes).toContain("They failed with exit code 1.")
  expect(notes).toContain("    2 tests failed")
})

test("runs the tests that pyproject.toml names", () => {
  const steps = wholeTour({ "pyproject.toml": "[tool.pytest.ini_options]" })
  expect(commands(steps)).toContain('bash python3 -m pytest; echo "exit code: $?"')
})

test.each<Files>([
  { "README.md": "# Hi" },
  { "package.json": '{ "scripts": { "test": "echo \\"Error: no test specified\\" && exit 1" } }' },
  { "package.json": "{ broken" },
  { "pyproject.toml": "[project]" },
])("runs no tests and says so when none are named: %o", (files) => {
  const steps = wholeTour(files)
  expect(commands(steps).join()).not.toMatch(/npm|pytest/)
  expect(lastWords(steps)).toContain("Neither package.json nor pyproject.toml names any")
})

test("says that no language model ran and where a provider key goes", () => {
  expect(lastWords(wholeTour({}))).toMatch(/No language model ran\..*provider key.*Settings/)
})

test("reads notes that are there already, since the agent overwrites only what was read", () => {
  const steps = commands(wholeTour({ "AGENT_NOTES.md": "old" }))
  expect(steps.slice(-2)).toEqual(["read /repo/AGENT_NOTES.md", "write /repo/AGENT_NOTES.md"])
})

test("uses only tools that are offered, and says that it wrote nothing when it could not", () => {
  const steps = wholeTour({ "README.md": "# Hi" }, ["read"])
  expect(commands(steps)).toEqual([])
  expect(lastWords(steps)).toContain("I had no tool to write AGENT_NOTES.md")
})

test("starts again for the next prompt", () => {
  const first = tourResponse(conversation([{ role: "user", text: "a" }], ["bash"]))
  const next = tourResponse(
    conversation(
      [
        { role: "user", text: "a" },
        { role: "assistant", calls: [{ id: "1", name: "bash", input: { command: "ls -1Ap" } }] },
        { role: "tool", callId: "1", output: "a" },
        { role: "user", text: "b" },
      ],
      ["bash"],
    ),
  )
  expect(next).toEqual(first)
})

import * as z from "zod"
import { type Conversation, sinceLastUser, type Turn, workingDirectory } from "./conversation.ts"
import type { Step, ToolStep } from "./script.ts"

/**
 * What the demo model does with a prompt that carries no script: a fixed tour of the repository.
 * Each stop is due when the answers so far lack what it brings, so the tour needs no memory.
 */
const listFiles: ToolStep = {
  tool: "bash",
  input: { command: "ls -1Ap", description: "List the files" },
}
const notesFile = "AGENT_NOTES.md"

const introduction =
  "I am the demo model: I play a fixed tour and no language model is running. First I list the files."

const aboutKeys =
  "No language model ran. For real work, add a provider key (such as Anthropic or OpenAI) under " +
  "Settings → Model keys, then choose one of its models in the prompt box."

export function tourResponse(conversation: Conversation): Step[] {
  const turns = sinceLastUser(conversation.turns)
  const offered = (step: ToolStep) => conversation.toolNames.includes(step.tool)
  const due = (step: ToolStep) => offered(step) && outputOf(turns, step) === undefined
  const directory = workingDirectory(conversation.system) ?? "."

  if (due(listFiles)) return [{ say: introduction }, listFiles]

  const files = outputOf(turns, listFiles)?.split(/\r?\n/).filter(Boolean) ?? []
  const reading = filesToRead(files, directory)
  const unread = reading.filter(due)
  if (unread.length > 0) {
    return [{ say: "Now I read what describes the project." }, { parallel: unread }]
  }

  const tests = testCommand(turns)
  if (tests && due(tests)) return [{ say: "The project names its tests, so I run them." }, tests]

  const notes = notesStep(directory, writeNotes(turns, files, tests))
  if (due(notes)) return [{ say: `I write what I saw to ${notesFile}.` }, notes]

  return [{ say: closing(turns, tests, outputOf(turns, notes)) }]
}

/** The answer a call of this tour has had since the prompt. A repeated call counts once. */
function outputOf(turns: Turn[], step: ToolStep): string | undefined {
  const wanted = identity(step.tool, step.input)
  for (const turn of turns) {
    if (turn.role !== "assistant") continue
    const call = turn.calls.find(({ name, input }) => identity(name, input) === wanted)
    if (!call) continue
    const answer = turns.find((other) => other.role === "tool" && other.callId === call.id)
    return answer?.role === "tool" ? answer.output : ""
  }
  return undefined
}

const identifyingInput = z.object({
  command: z.string().optional(),
  filePath: z.string().optional(),
})

/** What makes two calls the same one; agents may add defaults to the rest of an input. */
function identity(tool: string, input: unknown): string {
  const parsed = identifyingInput.safeParse(input)
  return `${tool} ${parsed.success ? (parsed.data.command ?? parsed.data.filePath) : ""}`
}

function showFile(name: string): ToolStep {
  return { tool: "bash", input: { command: `cat ${name}`, description: `Show ${name}` } }
}

function filesToRead(files: string[], directory: string): ToolStep[] {
  const named = (pattern: RegExp) => files.filter((name) => pattern.test(name)).slice(0, 1)
  const read = (name: string): ToolStep => ({
    tool: "read",
    input: { filePath: `${directory}/${name}` },
  })
  return [
    ...named(/^readme(\.\w+)?$/i).map(read),
    // OpenCode overwrites a file only after it was read.
    ...named(/^AGENT_NOTES\.md$/).map(read),
    ...named(/^package\.json$/).map(showFile),
    ...named(/^pyproject\.toml$/).map(showFile),
  ]
}

const packageJson = z.object({ scripts: z.object({ test: z.string() }) })

/** The command that runs the project's tests, when package.json or pyproject.toml names them. */
function testCommand(turns: Turn[]): ToolStep | undefined {
  const run = (command: string): ToolStep => ({
    tool: "bash",
    input: { command: `${command}; echo "exit code: $?"`, description: "Run the project's tests" },
  })
  const script = testScript(outputOf(turns, showFile("package.json")) ?? "")
  if (script && !script.includes("no test specified")) return run("CI=1 npm test")
  if (/pytest/.test(outputOf(turns, showFile("pyproject.toml")) ?? "")) {
    return run("python3 -m pytest")
  }
  return undefined
}

function testScript(shown: string): string | undefined {
  try {
    const json: unknown = JSON.parse(shown.slice(shown.indexOf("{"), shown.lastIndexOf("}") + 1))
    return packageJson.safeParse(json).data?.scripts.test
  } catch {
    // A package.json that is cut off or malformed names no tests.
    return undefined
  }
}

function notesStep(directory: string, content: string): ToolStep {
  return { tool: "write", input: { filePath: `${directory}/${notesFile}`, content } }
}

function writeNotes(turns: Turn[], files: string[], tests: ToolStep | undefined): string {
  const readme = files.find((name) => /^readme(\.\w+)?$/i.test(name))
  const output = tests && outputOf(turns, tests)
  return [
    "# Agent notes",
    "Written by the demo model, which plays a fixed tour. No language model read this repository.",
    `## Files\n\n${files.map((name) => `- ${name}`).join("\n") || "None were listed."}`,
    `## README\n\n${readme ? `${readme} was read.` : "There is none in this directory."}`,
    `## Tests\n\n${testResult(tests, output)}`,
    ...(output ? [indented(lastLines(output, 20))] : []),
    "",
  ].join("\n\n")
}

function testResult(tests: ToolStep | undefined, output: string | undefined): string {
  if (!tests) return "Neither package.json nor pyproject.toml names any, so none were run."
  if (output === undefined) return "They are named, but were not run."
  const code = /exit code: (\d+)\s*$/.exec(output)?.[1]
  if (code === undefined) return "They did not run to their end."
  return code === "0" ? "They passed." : `They failed with exit code ${code}.`
}

function closing(turns: Turn[], tests: ToolStep | undefined, written: string | undefined): string {
  const output = tests && outputOf(turns, tests)
  const notes =
    written === undefined
      ? `I had no tool to write ${notesFile}.`
      : `Writing ${notesFile}: ${written.trim().split("\n")[0] || "no answer"}`
  return `The tour is over.\n\n- Tests: ${testResult(tests, output)}\n- ${notes}\n\n${aboutKeys}`
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split(/\r?\n/).slice(-count).join("\n")
}

function indented(text: string): string {
  return text.replace(/^/gm, "    ")
}

import * as z from "zod"
import { type Conversation, RequestRefused, type Turn, workingDirectory } from "./conversation.ts"

/**
 * The script a prompt carries: a fenced block with info string `agent-script` that holds a JSON
 * array of steps. The last such block counts.
 *
 * A text answer ends the agent's turn, so steps are played in responses: a `say`, `think` or
 * `sleepMs` step joins the steps after it, up to and including the next `tool`, `parallel`,
 * `httpError`, `raw` or `hang`, or the end of the script. "Counted by the assistant messages since
 * that user message" therefore counts responses, and a script always plays to its end.
 *
 * Nothing is remembered between requests. A failed answer leaves no assistant message, so the
 * request that repeats it is answered with the same response, however often it comes. The same holds
 * for an answer without a word or a call, such as `{"raw": ""}` alone: OpenCode asks again at once
 * and without end. Say something before `raw` for a script that goes on after a broken stream.
 */
const toolStep = z.strictObject({
  tool: z.string().min(1),
  input: z.record(z.string(), z.unknown()).default({}),
})

const stepShapes = {
  say: z.strictObject({
    say: z.string().min(1),
    repeat: z.int().min(1).max(1_000_000).optional(),
    everyMs: z.number().min(0).max(60_000).optional(),
  }),
  think: z.strictObject({ think: z.string().min(1) }),
  tool: toolStep,
  sleepMs: z.strictObject({ sleepMs: z.number().min(0).max(3_600_000) }),
  httpError: z.strictObject({ httpError: z.int().min(400).max(599) }),
  raw: z.strictObject({ raw: z.string() }),
  hang: z.strictObject({ hang: z.literal(true) }),
  parallel: z.strictObject({ parallel: z.array(toolStep).min(1).max(64) }),
}

type StepKind = keyof typeof stepShapes
export type Step = z.infer<(typeof stepShapes)[StepKind]>
export type SayStep = z.infer<typeof stepShapes.say>
export type ToolStep = z.infer<typeof toolStep>

const stepKinds: StepKind[] = [
  "say",
  "think",
  "tool",
  "sleepMs",
  "httpError",
  "raw",
  "hang",
  "parallel",
]

const done: Step = { say: "Done." }

/** The steps of the response that is due, or undefined when no prompt of the conversation has a script. */
export function scriptedResponse(conversation: Conversation): Step[] | undefined {
  const found = findScript(conversation.turns)
  if (!found) return undefined
  const steps = parseScript(found.source, workingDirectory(conversation.system))
  return groupIntoResponses(steps)[found.answered] ?? [done]
}

/** The last script among the prompts, and how many responses it has had. */
function findScript(turns: Turn[]): { source: string; answered: number } | undefined {
  for (const [index, turn] of [...turns.entries()].reverse()) {
    if (turn.role !== "user") continue
    const source = lastFence(turn.text)
    if (source === undefined) continue
    const answered = turns.slice(index).filter(({ role }) => role === "assistant").length
    return { source, answered }
  }
  return undefined
}

/** What stands in the last `agent-script` block of a text. */
function lastFence(text: string): string | undefined {
  const opening = [...text.matchAll(/^[ \t]*(`{3,})agent-script[ \t]*\r?$/gm)].at(-1)
  if (!opening) return undefined
  const [line, ticks] = opening
  const rest = text.slice(opening.index + line.length)
  const closing = new RegExp(`^[ \\t]*${ticks}\`*[ \\t]*\\r?$`, "m").exec(rest)
  if (!closing) {
    throw new RequestRefused(400, `agent-script: the block is never closed; end it with ${ticks}`)
  }
  return rest.slice(0, closing.index)
}

/** Text without its `agent-script` blocks. */
export function withoutScripts(text: string): string {
  return text.replace(
    /^[ \t]*(`{3,})agent-script[ \t]*\r?\n[\s\S]*?(?:^[ \t]*\1`*[ \t]*$|$(?![\s\S]))/gm,
    "",
  )
}

/**
 * Reads a script and puts the working directory where it says `$CWD`.
 * Throws RequestRefused with a sentence that names the step and what is wrong with it.
 */
export function parseScript(source: string, directory: string | undefined): Step[] {
  const steps = parseJson(source)
  if (!Array.isArray(steps)) {
    throw new RequestRefused(400, "agent-script: expected a JSON array of steps")
  }
  return steps.map((step: unknown, index) => {
    const name = `step ${index + 1}`
    return placeInDirectory(parseStep(step, name), directory, name)
  })
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RequestRefused(400, `agent-script: the block is not valid JSON: ${reason}`)
  }
}

function parseStep(step: unknown, name: string): Step {
  const given = typeof step === "object" && step !== null ? Object.keys(step) : []
  const [kind, ...others] = stepKinds.filter((candidate) => given.includes(candidate))
  if (kind === undefined || others.length > 0) {
    throw new RequestRefused(
      400,
      `agent-script: ${name} must have exactly one of ${stepKinds.join(", ")}; it has ${given.join(", ") || "none"}`,
    )
  }
  const parsed = stepShapes[kind].safeParse(step)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) =>
    issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message,
  )
  throw new RequestRefused(400, `agent-script: ${name} (${kind}): ${problems.join("; ")}`)
}

function placeInDirectory(step: Step, directory: string | undefined, name: string): Step {
  if ("tool" in step) return placeTool(step, directory, name)
  if ("parallel" in step) {
    return { parallel: step.parallel.map((call) => placeTool(call, directory, name)) }
  }
  return step
}

function placeTool(step: ToolStep, directory: string | undefined, name: string): ToolStep {
  const place = (value: unknown): unknown => {
    if (typeof value === "string" && value.includes("$CWD")) {
      if (directory !== undefined) return value.replaceAll("$CWD", () => directory)
      throw new RequestRefused(
        400,
        `agent-script: ${name} uses $CWD, but the system prompt has no "Working directory: …" line`,
      )
    }
    if (Array.isArray(value)) return value.map(place)
    if (typeof value === "object" && value !== null) return placeEach(value)
    return value
  }
  const placeEach = (record: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(record).map(([key, value]) => [key, place(value)]))
  return { tool: step.tool, input: placeEach(step.input) }
}

/** Splits a script into what each request is answered with; see the top of this file. */
export function groupIntoResponses(steps: Step[]): Step[][] {
  const responses: Step[][] = []
  let open: Step[] = []
  for (const step of steps) {
    open.push(step)
    if ("say" in step || "think" in step || "sleepMs" in step) continue
    responses.push(open)
    open = []
  }
  const last = open.at(-1)
  if (last) responses.push("say" in last ? open : [...open, done])
  return responses
}

import { statSync } from "node:fs"
import * as z from "zod"
import type { DraftEntry, DraftEntryOf } from "#protocol/entry"
import { storableText } from "#protocol/text"
import { boundJson, boundOutput, boundTitle } from "./bounded.ts"
import { type TurnState, withEntry, withMember } from "./turn-state.ts"
import type { PartOf } from "./wire.ts"

/** The shortest time between two versions of a tool that only differ in their output so far. */
export const TOOL_UPDATE_MS = 250

const maxTodos = 200

type TodoItems = DraftEntryOf<"todo">["items"]
type ToolEntry = DraftEntryOf<"tool">
export type ToolStep = { state: TurnState; entries: DraftEntry[] }

export function translateTool(
  state: TurnState,
  key: string,
  part: PartOf<"tool">,
  nowMs: number,
): ToolStep {
  const before = state.tools.get(key)
  const entry = toolEntry(state, key, part)
  const sent = before?.entry
  // What was said before the agent's messages were read may be heard after them.
  if (sent && isEnded(sent) && !isEnded(entry)) return { state, entries: [] }
  if (sent && before.waiting === null && isSame(sent, entry)) return { state, entries: [] }
  const early = before !== undefined && nowMs - before.emittedAtMs < TOOL_UPDATE_MS
  const wait = early && sent?.state === "running" && entry.state === "running"
  const call = wait
    ? { ...before, waiting: entry }
    : { entry, messageId: part.messageID, emittedAtMs: nowMs, waiting: null }
  return {
    state: { ...state, tools: withEntry(state.tools, key, call) },
    entries: wait ? [] : [entry],
  }
}

/** The versions that have waited long enough. */
export function dueTools(state: TurnState, nowMs: number): ToolStep {
  let { tools } = state
  const entries: ToolEntry[] = []
  for (const [key, call] of state.tools) {
    if (!call.waiting || nowMs - call.emittedAtMs < TOOL_UPDATE_MS) continue
    entries.push(call.waiting)
    tools = withEntry(tools, key, {
      ...call,
      entry: call.waiting,
      emittedAtMs: nowMs,
      waiting: null,
    })
  }
  return { state: { ...state, tools }, entries }
}

/** Ends every running tool as failed, with the output it had: nothing will finish it. */
export function closeTools(state: TurnState, nowMs: number, sentence: string): ToolStep {
  let { tools } = state
  const entries: ToolEntry[] = []
  for (const [key, call] of state.tools) {
    const last = call.waiting ?? call.entry
    if (isEnded(last)) continue
    const entry: ToolEntry = {
      ...last,
      state: "error",
      output: last.output || sentence,
      endedAt: new Date(nowMs).toISOString(),
    }
    entries.push(entry)
    tools = withEntry(tools, key, { ...call, entry, waiting: null })
  }
  return { state: { ...state, tools }, entries }
}

export type ToolsAtWork = {
  /** A command or file operation runs; the model has nothing to say until it ends. */
  running: boolean
  /** The model is writing a tool's input, of which the agent tells nothing. */
  pending: boolean
}

/** A sub-agent's tool counts by the tools that the sub-agent runs. */
export function toolsAtWork(state: TurnState): ToolsAtWork {
  const calls = [...state.tools.values()].map(({ entry, waiting }) => waiting ?? entry)
  return {
    running: calls.some((entry) => entry.state === "running" && !entry.childSessionId),
    pending: calls.some((entry) => entry.state === "pending"),
  }
}

function toolEntry({ turnId }: TurnState, key: string, part: PartOf<"tool">): ToolEntry {
  const { status, input, title, metadata, time } = part.state
  const { output, truncated, bytes } = boundOutput(outputOf(part.state))
  const child = part.tool === "task" ? metadata.sessionId : undefined
  return {
    key,
    turnId,
    kind: "tool",
    name: boundTitle(part.tool),
    title: boundTitle(title ?? ""),
    input: boundJson(input),
    state: status,
    output,
    truncated: truncated || metadata.truncated === true,
    bytes: Math.max(bytes, keptBytes(metadata.outputPath)),
    startedAt: instant(time?.start),
    endedAt: instant(time?.end),
    ...(typeof child === "string" ? { childSessionId: child } : {}),
  }
}

/** A command's output so far stands in its metadata, also when it failed in the end. */
function outputOf({ status, output, error, metadata }: PartOf<"tool">["state"]): string {
  const soFar = typeof metadata.output === "string" ? metadata.output : ""
  if (status === "completed") return output ?? ""
  if (status === "error") return [soFar, error ?? ""].filter(Boolean).join("\n")
  return soFar
}

/** Size of the file into which the agent puts an output that is too long for the model; 0 without one. */
function keptBytes(path: unknown): number {
  if (typeof path !== "string") return 0
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0
  } catch {
    // A path that cannot be looked at tells no size, and the entry is worth more than that.
    return 0
  }
}

const isEnded = ({ state }: ToolEntry) => state === "completed" || state === "error"

const instant = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())

function isSame(a: ToolEntry, b: ToolEntry): boolean {
  return (
    a.state === b.state &&
    a.title === b.title &&
    a.bytes === b.bytes &&
    a.output === b.output &&
    a.endedAt === b.endedAt &&
    a.childSessionId === b.childSessionId
  )
}

const todosSchema = z.array(z.looseObject({ content: z.string(), status: z.string() }))

/** The turn's one list of things to do, as the newest call wrote it. */
export function translateTodo(state: TurnState, key: string, part: PartOf<"tool">): ToolStep {
  const todos = todosSchema.safeParse(part.state.input.todos).data
  if (!todos || state.todoCalls.has(key)) return { state, entries: [] }
  const items: TodoItems = todos.slice(0, maxTodos).map(({ content, status }) => ({
    text: boundTitle(content),
    state: storableText(status),
  }))
  const todo = JSON.stringify(items)
  const isFinished = part.state.status === "completed"
  const todoCalls = isFinished ? withMember(state.todoCalls, key) : state.todoCalls
  const { turnId } = state
  return {
    state: { ...state, todo, todoCalls },
    entries: todo === state.todo ? [] : [{ key: `todo:${turnId}`, turnId, kind: "todo", items }],
  }
}

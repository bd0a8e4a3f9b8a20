import type { DraftEntry } from "#protocol/entry"
import type { Delta } from "#protocol/runner"
import { boundJson } from "./bounded.ts"
import { growText, replaceTexts, translateText } from "./translate-text.ts"
import { type ToolStep, translateTodo, translateTool } from "./translate-tool.ts"
import { partKey, type TurnState, withMember } from "./turn-state.ts"
import type { AgentError, AgentEvent, AgentMessage, MessageInfo, Part, PartOf } from "./wire.ts"

/** What an event means for the turn itself, beside its entries. */
export type Signal =
  | { type: "busy" }
  | { type: "idle" }
  /** Something of this turn moved: the model wrote, a tool ran. */
  | { type: "activity" }
  /** The agent waits until `next`, clock time in milliseconds, and asks the model again. */
  | { type: "retry"; attempt: number; message: string; next: number }
  | { type: "error"; error: AgentError }
  /** The model's stream ended in the middle of an answer. */
  | { type: "broke-off" }
  /** The agent asks a person, whom it cannot reach yet. */
  | { type: "asked"; kind: "permission" | "question"; requestId: string; about: string }

export type Step = { state: TurnState; entries: DraftEntry[]; deltas: Delta[]; signals: Signal[] }

/** Part types that tell a reader nothing. */
const noise: ReadonlySet<string> = new Set([
  "step-finish",
  "snapshot",
  "patch",
  "agent",
  "subtask",
  "retry",
  "compaction",
])

/** What an event of the agent means for the turn. Events of other sessions and of older messages mean nothing. */
export function translate(state: TurnState, event: AgentEvent, nowMs: number): Step {
  const nothing: Step = { state, entries: [], deltas: [], signals: [] }
  if (event.type === "session.created") return { ...nothing, state: adoptChild(state, event) }
  const { sessionID } = event.properties
  if (sessionID === undefined || !state.sessions.has(sessionID)) return nothing
  const isRoot = sessionID === state.rootSessionId
  switch (event.type) {
    case "session.status": {
      const { status } = event.properties
      // A sub-agent that asks its model again and again holds up the turn just the same.
      const matters = isRoot || status.type === "retry"
      return { ...nothing, signals: [matters ? statusSignal(status) : active] }
    }
    case "session.idle":
      return { ...nothing, signals: isRoot ? [{ type: "idle" }] : [active] }
    case "session.error":
      return { ...nothing, signals: isRoot ? errorSignals(event.properties.error) : [active] }
    case "message.updated":
      return translateMessage(state, event.properties.info)
    case "message.part.updated":
      return translatePart(state, event.properties.part, nowMs)
    case "message.part.delta":
      return translateDelta(state, event.properties)
    case "permission.asked": {
      const { id, permission, patterns } = event.properties
      const about = `${permission} ${patterns.join(" ")}`
      return { ...nothing, signals: [{ type: "asked", kind: "permission", requestId: id, about }] }
    }
    case "question.asked": {
      const { id } = event.properties
      const signal: Signal = { type: "asked", kind: "question", requestId: id, about: "a question" }
      return { ...nothing, signals: [signal] }
    }
  }
}

/**
 * The turn as the agent holds it, in the order of message and part ids: whatever the state does not have yet becomes
 * entries. Afterwards every completed part equals the agent's own.
 */
export function resync(state: TurnState, messages: AgentMessage[], nowMs: number): Step {
  let step: Step = { state, entries: [], deltas: [], signals: [] }
  const apply = (next: Step) => {
    step = {
      state: next.state,
      entries: [...step.entries, ...next.entries],
      deltas: [...step.deltas, ...next.deltas],
      signals: [],
    }
  }
  for (const { info, parts } of messages.toSorted((a, b) => byId(a.info.id, b.info.id))) {
    apply(translateMessage(step.state, info))
    for (const part of parts.toSorted((a, b) => byId(a.part.id, b.part.id))) {
      apply(translatePart(step.state, part, nowMs))
    }
  }
  return step
}

const byId = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const active: Signal = { type: "activity" }

type StatusEvent = Extract<AgentEvent, { type: "session.status" }>["properties"]["status"]

function statusSignal(status: StatusEvent): Signal {
  if (status.type !== "retry") return { type: status.type }
  const { attempt, message, next } = status
  return { type: "retry", attempt, message, next }
}

const errorSignals = (error: AgentError | undefined): Signal[] =>
  error ? [{ type: "error", error }] : []

function adoptChild(
  state: TurnState,
  { properties: { info } }: Extract<AgentEvent, { type: "session.created" }>,
): TurnState {
  if (info.parentID === undefined || !state.sessions.has(info.parentID)) return state
  return { ...state, sessions: withMember(state.sessions, info.id) }
}

function translateMessage(state: TurnState, info: MessageInfo): Step {
  const signals: Signal[] = []
  const isRoot = info.sessionID === state.rootSessionId
  if (isRoot && info.id < state.messageId) return { state, entries: [], deltas: [], signals }
  const silent = info.role === "user" || info.summary === true
  if (info.role === "assistant") signals.push(active)
  if (isRoot && info.error && info.time.completed !== undefined) {
    signals.push({ type: "error", error: info.error })
  }
  if (isRoot && info.finish === "unknown" && !hasTools(state, info.id)) {
    signals.push({ type: "broke-off" })
  }
  const next = silent ? { ...state, silent: withMember(state.silent, info.id) } : state
  return { state: next, entries: [], deltas: [], signals }
}

/** Some models do not say why they stop when they call tools. */
function hasTools(state: TurnState, messageId: string): boolean {
  return [...state.tools.values()].some((call) => call.messageId === messageId)
}

function translatePart(state: TurnState, { known, part }: Part, nowMs: number): Step {
  const ignored: Step = { state, entries: [], deltas: [], signals: [] }
  if (!isOfTurn(state, part)) return ignored
  const key = partKey(state, part)
  const signals = [active]
  if (known === "text") return { ...translateText(state, key, part), signals }
  if (known === "tool")
    return { ...translateToolPart(state, key, part, nowMs), deltas: [], signals }
  if (part.type === "step-start") return { ...replaceTexts(state, part.messageID, key), signals }
  if (noise.has(part.type)) return { ...ignored, signals }
  const raw =
    known === "file"
      ? { type: part.type, mime: part.mime, filename: part.filename ?? "" }
      : { ...part }
  const entry: DraftEntry = { key, turnId: state.turnId, kind: "unknown", raw: boundJson(raw) }
  return { ...ignored, entries: [entry], signals }
}

function isOfTurn(state: TurnState, part: { sessionID: string; messageID: string }): boolean {
  if (!state.sessions.has(part.sessionID) || state.silent.has(part.messageID)) return false
  return part.sessionID !== state.rootSessionId || part.messageID > state.messageId
}

function translateToolPart(
  state: TurnState,
  key: string,
  part: PartOf<"tool">,
  nowMs: number,
): ToolStep {
  const { status, metadata } = part.state
  if (part.tool === "todowrite" && status !== "error") {
    // A sub-agent's list is its own affair.
    const isOurs = part.sessionID === state.rootSessionId
    return isOurs ? translateTodo(state, key, part) : { state, entries: [] }
  }
  const child = part.tool === "task" ? metadata.sessionId : undefined
  const sessions = typeof child === "string" ? withMember(state.sessions, child) : state.sessions
  return translateTool({ ...state, sessions }, key, part, nowMs)
}

type DeltaEvent = Extract<AgentEvent, { type: "message.part.delta" }>["properties"]

function translateDelta(state: TurnState, { field, delta, ...ids }: DeltaEvent): Step {
  const part = { id: ids.partID, sessionID: ids.sessionID, messageID: ids.messageID }
  if (!isOfTurn(state, part)) return { state, entries: [], deltas: [], signals: [] }
  if (field !== "text") return { state, entries: [], deltas: [], signals: [active] }
  return { ...growText(state, partKey(state, part), delta), signals: [active] }
}

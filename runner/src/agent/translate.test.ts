import { readFileSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"
import fc from "fast-check"
import { expect, test } from "vitest"
import * as z from "zod"
import { type DraftEntry, draftEntrySchema } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import { MAX_TOOL_OUTPUT_BYTES } from "#protocol/limits"
import type { Delta } from "#protocol/runner"
import { storableText } from "#protocol/text"
import { resync, type Signal, translate } from "./translate.ts"
import { closeTexts, resendTexts } from "./translate-text.ts"
import { closeTools, dueTools, TOOL_UPDATE_MS } from "./translate-tool.ts"
import { startTurnState, type TurnState } from "./turn-state.ts"
import { type AgentEvent, decodeEvent, messagesSchema } from "./wire.ts"

const turnId = promptIdSchema.parse("prm_1")

const headSchema = z.object({
  sessionId: z.string(),
  messageId: z.string(),
  messages: z.record(z.string(), messagesSchema),
})

function fixture(name: string) {
  const path = new URL(`fixtures/${name}.jsonl`, import.meta.url)
  const [first = "", ...lines] = readFileSync(path, "utf8").trim().split("\n")
  const events = lines.map((line) => {
    const { atMs, item } = z.object({ atMs: z.number(), item: z.unknown() }).parse(JSON.parse(line))
    const decoded = decodeEvent(item)
    if (decoded.kind === "unreadable") throw new Error(decoded.reason)
    return { atMs, event: decoded.kind === "event" ? decoded.event : null }
  })
  return { ...headSchema.parse(JSON.parse(first)), events }
}

/** Plays a recorded turn as the prompt loop would, and keeps a reader's copy of its entries. */
function play(name: string) {
  const { sessionId, messageId, messages, events } = fixture(name)
  const reader = new Reader()
  let state = startTurnState(turnId, sessionId, messageId)
  const signals: Signal[] = []
  for (const { atMs, event } of events) {
    if (!event) continue
    const step = translate(state, event, atMs)
    state = step.state
    reader.take(step)
    signals.push(...step.signals)
  }
  return { state, reader, signals, sessionId, messages }
}

/** Holds what the room would: entries by key, texts grown by deltas. */
class Reader {
  readonly entries = new Map<string, DraftEntry>()
  readonly versions: DraftEntry[] = []

  take({ entries, deltas }: { entries: DraftEntry[]; deltas: Delta[] }): void {
    for (const [key, offset, piece] of deltas) {
      const entry = this.entries.get(key)
      if (entry?.kind !== "text" && entry?.kind !== "reasoning") throw new Error(`no text ${key}`)
      expect(offset).toBe(entry.text.length)
      expect(piece.isWellFormed()).toBe(true)
      this.entries.set(key, { ...entry, text: entry.text + piece })
    }
    for (const entry of entries) {
      draftEntrySchema.parse(entry)
      const before = this.entries.get(entry.key)
      if (entry.kind === "text" && before?.kind === "text" && !entry.done) {
        expect(entry.text.startsWith(before.text)).toBe(true)
      }
      this.entries.set(entry.key, entry)
      this.versions.push(entry)
    }
  }

  get list(): DraftEntry[] {
    return [...this.entries.values()]
  }
}

const names = [
  "text-and-reasoning",
  "tools",
  "sub-agent",
  "error-401",
  "retry-500",
  "connection-reset",
  "broken-stream",
  "abort-command",
  "abort-text",
  "long-text",
  "surrogates",
]

test.each(names)(
  "[I6] %s: every completed part equals the agent's own, without a resync",
  (name) => {
    const { reader, messages, sessionId } = play(name)
    const completed = Object.values(messages)
      .flat()
      .filter(({ info }) => info.role === "assistant")
      .flatMap(({ parts }) => parts)
    for (const { known, part } of completed) {
      const key = part.sessionID === sessionId ? part.id : `${part.sessionID}/${part.id}`
      const entry = reader.entries.get(key)
      if (known === "text" && part.time?.end !== undefined && part.text !== "") {
        expect(entry).toMatchObject({ kind: part.type, text: storableText(part.text), done: true })
      }
      if (known === "tool" && part.tool !== "todowrite") {
        expect(entry).toMatchObject({ kind: "tool", state: part.state.status })
      }
    }
  },
)

test.each(names)("[E8] %s: a resync after everything was seen says nothing again", (name) => {
  const { state, messages } = play(name)
  const step = resync(state, Object.values(messages).flat(), 1_000_000)
  expect(step.entries).toEqual([])
  expect(step.deltas).toEqual([])
})

test.each(names)("[E8] %s: a resync alone brings the same entries as the events", (name) => {
  const { reader, messages, sessionId } = play(name)
  const { messageId } = fixture(name)
  const fresh = new Reader()
  let state = startTurnState(turnId, sessionId, messageId)
  for (const id of [sessionId, ...Object.keys(messages).filter((key) => key !== sessionId)]) {
    const step = resync(state, messages[id] ?? [], 0)
    state = step.state
    fresh.take(step)
  }
  // Of an answer that broke off the agent keeps nothing, so only the events have it.
  const done = reader.list.filter((entry) => !("done" in entry) || (entry.done && !entry.replaced))
  expect(fresh.list.toSorted(byKey)).toEqual(done.toSorted(byKey))
})

const byKey = (a: DraftEntry, b: DraftEntry) => (a.key < b.key ? -1 : 1)

test("tools: their states, outputs and the list of things to do", () => {
  const { reader, signals } = play("tools")
  expect(reader.list.map((entry) => [entry.kind, "state" in entry ? entry.state : ""])).toEqual([
    ["text", ""],
    ["todo", ""],
    ["tool", "completed"],
    ["tool", "completed"],
    ["tool", "completed"],
    ["tool", "error"],
    ["text", ""],
  ])
  const tools = reader.list.filter((entry) => entry.kind === "tool")
  expect(tools[0]).toMatchObject({ name: "bash", output: "line 1\nline 2\nline 3\n", bytes: 21 })
  expect(tools.at(-1)).toMatchObject({ name: "read", output: expect.stringContaining("not found") })
  expect(reader.entries.get(`todo:${turnId}`)).toMatchObject({
    items: [{ text: "count", state: "completed" }],
  })
  expect(signals.at(-1)).toEqual({ type: "idle" })
})

test("a command's growing output is told at most every quarter of a second", () => {
  const { reader } = play("tools")
  const versions = reader.versions.filter(
    (entry) => entry.kind === "tool" && entry.title.startsWith("for i in"),
  )
  expect(versions.length).toBeLessThan(6)
})

test("a sub-agent's parts are named by its session, which the task's entry gives", () => {
  const { reader } = play("sub-agent")
  const [task, ...rest] = reader.list
  if (task?.kind !== "tool" || !task.childSessionId) throw new Error("no task")
  expect(rest.map(({ key, kind }) => [key.startsWith(`${task.childSessionId}/`), kind])).toEqual([
    [true, "tool"],
    [true, "text"],
    [false, "text"],
  ])
})

test("a refusal, retries and a broken stream become signals", () => {
  const error = play("error-401").signals.find(({ type }) => type === "error")
  expect(error).toMatchObject({ error: { name: "APIError", data: { statusCode: 401 } } })
  const retries = play("retry-500").signals.filter(({ type }) => type === "retry")
  expect(retries).toMatchObject([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }])
  expect(play("broken-stream").signals).toContainEqual({ type: "broke-off" })
})

test("a sub-agent's retries count as the turn's, its idleness does not", () => {
  const info = { id: "ses_2", parentID: "ses_1" }
  const { state } = translate(fresh(), event("session.created", { info }), 0)
  const status = (of: object) =>
    translate(state, event("session.status", { sessionID: "ses_2", status: of }), 0).signals
  const retry = { type: "retry", attempt: 3, message: "Overloaded", next: 5 }
  expect(status(retry)).toEqual([retry])
  expect(status({ type: "idle" })).toEqual([{ type: "activity" }])
})

test("[I6] a text whose model broke off stays as far as it came, and says that the next one counts", () => {
  const { reader } = play("connection-reset")
  const texts = reader.list.flatMap((entry) => (entry.kind === "text" ? [entry] : []))
  expect(texts.map(({ text, done, replaced = false }) => [text.length, done, replaced])).toEqual([
    [76, true, true],
    [19, true, true],
    [76, true, false],
  ])
})

test("a text that had ended before its model broke off is replaced too, one of another message is not", () => {
  const reader = new Reader()
  let state = fresh()
  const play = (id: string, more: object) => {
    const step = translate(state, updated(part(id, more)), 0)
    state = step.state
    reader.take(step)
  }
  const text = (words: string) => ({ type: "text", text: words, time: { start: 1, end: 2 } })
  play("prt_0", { ...text("An earlier message."), messageID: "msg_1a" })
  play("prt_1", { type: "step-start" })
  play("prt_2", text("Whole."))
  play("prt_3", { type: "reasoning", text: "Half", time: { start: 1 } })
  play("prt_4", { type: "step-start" })
  play("prt_5", text("Whole."))
  const replaced = reader.list.flatMap((entry) =>
    "replaced" in entry && entry.done ? [[entry.key, entry.text]] : [],
  )
  expect(replaced).toEqual([
    ["prt_2", "Whole."],
    ["prt_3", "Half"],
  ])
  const again = resendTexts(state, ["prt_2"])
  expect(again.entries).toMatchObject([{ key: "prt_2", replaced: true }])
})

test("a text that the agent never ends is closed as far as it came", () => {
  const open = translate(fresh(), updated(part("prt_1", { type: "text", text: "Half" })), 0)
  expect(closeTexts(open.state).entries).toMatchObject([{ text: "Half", done: true }])
  expect(closeTexts(open.state).entries[0]).not.toHaveProperty("replaced")
})

test("[E7] what is stored of a long text stays linear in it", () => {
  const { reader } = play("long-text")
  const [entry] = reader.list
  if (entry?.kind !== "text") throw new Error("no text")
  expect(entry.text.length).toBeGreaterThan(9_000)
  const stored = reader.versions.reduce(
    (sum, version) => sum + (version.kind === "text" ? version.text.length : 0),
    0,
  )
  expect(stored).toBeLessThan(entry.text.length * 7)
})

test("events of other sessions and of earlier turns mean nothing", () => {
  const { sessionId, messageId, events } = fixture("tools")
  for (const state of [
    startTurnState(turnId, "ses_other", messageId),
    startTurnState(turnId, sessionId, "msg_zzz"),
  ]) {
    for (const { atMs, event } of events) {
      if (event) expect(translate(state, event, atMs).entries).toEqual([])
    }
  }
})

const part = (id: string, more: object) => ({
  id,
  sessionID: "ses_1",
  messageID: "msg_2",
  ...more,
})

function event(type: string, properties: object): AgentEvent {
  const decoded = decodeEvent({
    payload: { type, properties: { sessionID: "ses_1", ...properties } },
  })
  if (decoded.kind !== "event") throw new Error(`${type} is no event`)
  return decoded.event
}

const updated = (of: object) => event("message.part.updated", { part: of })

const toolPart = (status: string, state: object) =>
  updated(part("prt_t", { type: "tool", tool: "bash", state: { status, input: {}, ...state } }))

const fresh = (): TurnState => startTurnState(turnId, "ses_1", "msg_1")

test("[E7] any chunking of any text: deltas never split a pair, and all ends agree", () => {
  const units = fc.array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom("\ud83d", "\ude00", "😀", "\u0000", "\ud83d\ud83d", "x".repeat(900)),
    ),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(units, fc.integer({ min: 0, max: 40 }), (chunks, cutAt) => {
      const reader = new Reader()
      let state = fresh()
      const play = (next: AgentEvent) => {
        const step = translate(state, next, 0)
        state = step.state
        reader.take(step)
      }
      const whole = chunks.join("")
      play(updated(part("prt_1", { type: "text", text: "", time: { start: 1 } })))
      chunks.forEach((delta, index) => {
        play(
          event("message.part.delta", {
            messageID: "msg_2",
            partID: "prt_1",
            field: "text",
            delta,
          }),
        )
        if (index === cutAt) {
          const again = resendTexts(state, ["prt_1"])
          state = again.state
          reader.take(again)
        }
      })
      const streamed = reader.entries.get("prt_1")
      const text = streamed?.kind === "text" ? streamed.text : ""
      expect(storableText(whole).startsWith(text)).toBe(true)
      expect(whole.length - text.length).toBeLessThanOrEqual(1)

      const closed = closeTexts(state).entries.at(0)
      if (text !== "") expect(closed).toMatchObject({ text: storableText(whole), done: true })
      play(updated(part("prt_1", { type: "text", text: whole, time: { start: 1, end: 2 } })))
      if (whole !== "") {
        expect(reader.entries.get("prt_1")).toMatchObject({ text: storableText(whole), done: true })
      }
    }),
    { numRuns: 100 },
  )
})

test("[F12] 50 MB of output are cut to the limit between characters, quickly", () => {
  const startedAt = performance.now()
  const output = `a${"é".repeat(25 * 1024 * 1024)}`
  const [entry] = translate(fresh(), toolPart("completed", { output, title: "big" }), 0).entries
  if (entry?.kind !== "tool") throw new Error("no tool")
  expect(entry.truncated).toBe(true)
  expect(entry.bytes).toBe(50 * 1024 * 1024 + 1)
  expect(Buffer.byteLength(entry.output)).toBeLessThanOrEqual(MAX_TOOL_OUTPUT_BYTES)
  expect(Buffer.byteLength(entry.output)).toBeGreaterThan(MAX_TOOL_OUTPUT_BYTES - 4)
  expect(output.startsWith(entry.output)).toBe(true)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
})

test("[F12] an output that the agent cut itself tells the size of the whole, which lies in a file", () => {
  const outputPath = fileURLToPath(import.meta.url)
  const bytes = (metadata: object) => {
    const tool = toolPart("completed", { output: "the ends", title: "cut", metadata })
    const [entry] = translate(fresh(), tool, 0).entries
    return entry?.kind === "tool" ? [entry.truncated, entry.bytes] : null
  }
  expect(bytes({ truncated: true, outputPath })).toEqual([true, statSync(outputPath).size])
  for (const lost of ["/nowhere/at/all", "a\u0000b", 7, `${outputPath}/below`]) {
    expect(bytes({ truncated: true, outputPath: lost })).toEqual([true, 8])
  }
})

test("[F12] a text of 5 MB in small pieces takes linear time and stops at the limit", () => {
  const startedAt = performance.now()
  let { state } = translate(fresh(), updated(part("prt_1", { type: "text", text: "" })), 0)
  const delta = "x".repeat(250)
  const piece = event("message.part.delta", {
    messageID: "msg_2",
    partID: "prt_1",
    field: "text",
    delta,
  })
  let stored = 0
  for (let index = 0; index < 20_000; index++) {
    const step = translate(state, piece, 0)
    state = step.state
    for (const entry of step.entries) if (entry.kind === "text") stored += entry.text.length
  }
  expect(state.open.get("prt_1")?.text.length).toBe(512 * 1024)
  expect(stored).toBeLessThan(4 * 1024 * 1024)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
})

test("a running tool's output waits its turn and is not lost", () => {
  const running = (output: string) => toolPart("running", { metadata: { output } })
  let step = translate(fresh(), running("1"), 0)
  expect(step.entries).toMatchObject([{ output: "1" }])
  step = translate(step.state, running("1"), 10)
  expect(step.entries).toEqual([])
  step = translate(step.state, running("12"), 20)
  expect(step.entries).toEqual([])
  expect(dueTools(step.state, TOOL_UPDATE_MS - 1).entries).toEqual([])
  const due = dueTools(step.state, TOOL_UPDATE_MS)
  expect(due.entries).toMatchObject([{ output: "12" }])
  expect(dueTools(due.state, TOOL_UPDATE_MS * 2).entries).toEqual([])
  const end = closeTools(step.state, 1_000, "Stopped.")
  expect(end.entries).toMatchObject([{ state: "error", output: "12" }])
})

test("a part of a new type is kept as it is, and a strange known one too", () => {
  const raw = part("prt_n", { type: "hologram", depth: 3 })
  expect(translate(fresh(), updated(raw), 0).entries).toEqual([
    { key: "prt_n", turnId, kind: "unknown", raw },
  ])
  const strange = part("prt_s", { type: "text", text: 7 })
  expect(translate(fresh(), updated(strange), 0).entries).toMatchObject([{ kind: "unknown" }])
})

test("what a tool was given is bounded and storable", () => {
  const input = { content: `\u0000${"x".repeat(300_000)}`, list: [1, null, true] }
  const [entry] = translate(fresh(), toolPart("running", { input }), 0).entries
  if (entry?.kind !== "tool") throw new Error("no tool")
  const json = JSON.stringify(entry.input)
  expect(json.length).toBeLessThan(140_000)
  expect(json).toContain("\u2400")
  expect(json).toContain("more characters")
})

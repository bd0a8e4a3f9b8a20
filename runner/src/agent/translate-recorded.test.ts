import { expect, test } from "vitest"
import type { DraftEntry } from "#protocol/entry"
import { storableText } from "#protocol/text"
import { fixture, play, Reader, turnId } from "../testing/agent-events.ts"
import { resync, translate } from "./translate.ts"
import { startTurnState } from "./turn-state.ts"

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

test("[I6] a text whose model broke off stays as far as it came, and says that the next one counts", () => {
  const { reader } = play("connection-reset")
  const texts = reader.list.flatMap((entry) => (entry.kind === "text" ? [entry] : []))
  expect(texts.map(({ text, done, replaced = false }) => [text.length, done, replaced])).toEqual([
    [76, true, true],
    [19, true, true],
    [76, true, false],
  ])
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

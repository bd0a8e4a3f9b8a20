import { statSync } from "node:fs"
import { fileURLToPath } from "node:url"
import fc from "fast-check"
import { expect, test } from "vitest"
import { MAX_TOOL_OUTPUT_BYTES } from "#protocol/limits"
import { storableText } from "#protocol/text"
import { event, fresh, part, Reader, toolPart, turnId, updated } from "../testing/agent-events.ts"
import { translate } from "./translate.ts"
import { closeTexts, resendTexts } from "./translate-text.ts"
import { closeTools, dueTools, TOOL_UPDATE_MS } from "./translate-tool.ts"
import type { AgentEvent } from "./wire.ts"

test("a sub-agent's retries count as the turn's, its idleness does not", () => {
  const info = { id: "ses_2", parentID: "ses_1" }
  const { state } = translate(fresh(), event("session.created", { info }), 0)
  const status = (of: object) =>
    translate(state, event("session.status", { sessionID: "ses_2", status: of }), 0).signals
  const retry = { type: "retry", attempt: 3, message: "Overloaded", next: 5 }
  expect(status(retry)).toEqual([retry])
  expect(status({ type: "idle" })).toEqual([{ type: "activity" }])
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

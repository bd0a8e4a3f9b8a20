import { describe, expect, test } from "vitest"
import { messages } from "./messages.ts"
import { parseFrames, sampleHead, sampleParts } from "./testing.ts"

const call = { type: "tool_use", id: "c1", name: "bash", input: { a: 1 } }
const result = { type: "tool_result", tool_use_id: "c1", content: "output" }
const body = {
  model: "demo",
  max_tokens: 100,
  stream: true,
  system: [{ type: "text", text: "Working directory: /repo" }],
  tools: [{ name: "bash", input_schema: {} }],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "two" },
        { type: "text", text: "parts" },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "text", text: "I look." },
      ],
    },
    { role: "assistant", content: [call] },
    { role: "user", content: [result] },
    { role: "assistant", content: [call] },
    {
      role: "user",
      content: [
        { ...result, content: [{ type: "text", text: "in parts" }] },
        { type: "text", text: "hurry" },
      ],
    },
    { role: "assistant", content: "Done." },
    { role: "user", content: "one string" },
  ],
}

describe("a messages request", () => {
  test("is read into turns: tool results are no prompts, also beside one", () => {
    const one = { id: "c1", name: "bash", input: { a: 1 } }
    expect(messages.decode(body)).toEqual({
      model: "demo",
      stream: true,
      streamUsage: true,
      system: "Working directory: /repo",
      toolNames: ["bash"],
      turns: [
        { role: "user", text: "two\nparts" },
        { role: "assistant", calls: [one] },
        { role: "tool", callId: "c1", output: "output" },
        { role: "assistant", calls: [one] },
        { role: "tool", callId: "c1", output: "in parts" },
        { role: "user", text: "hurry" },
        { role: "assistant", calls: [] },
        { role: "user", text: "one string" },
      ],
    })
  })

  test("is answered in whole unless it asks for a stream", () => {
    const { stream, system } = messages.decode({
      model: "m",
      system: "one string",
      messages: [{ role: "user", content: "hello" }],
    })
    expect([stream, system]).toEqual([false, "one string"])
  })
})

describe("a messages answer", () => {
  const stream = () => messages.stream(sampleHead, messages.decode(body))

  test("streams blocks one after the other, each opened and closed", () => {
    const encoder = stream()
    const text = [
      encoder.reasoning("hm"),
      encoder.text("Hel"),
      encoder.text("lo"),
      ...sampleParts.calls.map(encoder.call),
      encoder.finish(5),
    ].join("")
    expect(parseFrames(text)).toMatchObject([
      { type: "message_start", message: { model: "demo", usage: { input_tokens: 12 } } },
      { type: "content_block_start", index: 0, content_block: { type: "thinking" } },
      { delta: { type: "thinking_delta", thinking: "hm" } },
      { delta: { type: "signature_delta" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { index: 1, delta: { type: "text_delta", text: "Hel" } },
      { index: 1, delta: { type: "text_delta", text: "lo" } },
      { type: "content_block_stop", index: 1 },
      { index: 2, content_block: { type: "tool_use", id: "c1", name: "bash", input: {} } },
      { index: 2, delta: { type: "input_json_delta", partial_json: '{"a":1}' } },
      { type: "content_block_stop", index: 2 },
      { index: 3, content_block: { type: "tool_use", id: "c2", name: "read", input: {} } },
      { index: 3, delta: { type: "input_json_delta", partial_json: "{}" } },
      { type: "content_block_stop", index: 3 },
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 5 } },
      { type: "message_stop" },
    ])
  })

  test("without calls ends the turn", () => {
    const encoder = stream()
    expect(parseFrames(encoder.text("x") + encoder.finish(1)).at(-2)).toMatchObject({
      delta: { stop_reason: "end_turn" },
    })
  })

  test("can fail after it has begun, with the type its status has", () => {
    expect(parseFrames(stream().fail(529, "busy"))).toEqual([
      { type: "error", error: { type: "overloaded_error", message: "busy" } },
    ])
  })

  test("in whole holds every block and the usage", () => {
    expect(messages.whole(sampleHead, sampleParts.all, 4)).toMatchObject({
      type: "message",
      content: [
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "Hello" },
        { type: "tool_use", id: "c1", name: "bash", input: { a: 1 } },
        { type: "tool_use", id: "c2", name: "read", input: {} },
      ],
      stop_reason: "tool_use",
      usage: { input_tokens: 12, output_tokens: 4 },
    })
  })
})

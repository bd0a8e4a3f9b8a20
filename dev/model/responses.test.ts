import { describe, expect, test } from "vitest"
import * as z from "zod"
import { responses } from "./responses.ts"
import { parseFrames, sampleHead, sampleParts } from "./testing.ts"

const call = { type: "function_call", call_id: "c1", name: "bash", arguments: '{"a":1}' }
const output = { type: "function_call_output", call_id: "c1", output: "output" }
const body = {
  model: "demo",
  stream: true,
  instructions: "Be kind.",
  tools: [{ type: "function", name: "bash" }, { type: "web_search" }],
  input: [
    { role: "developer", content: "Working directory: /repo" },
    {
      role: "user",
      content: [
        { type: "input_text", text: "two" },
        { type: "input_text", text: "parts" },
      ],
    },
    { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "x" },
    { role: "assistant", content: [{ type: "output_text", text: "I look." }] },
    call,
    { ...call, call_id: "c2" },
    output,
    { ...output, call_id: "c2", output: [{ type: "input_text", text: "in parts" }] },
    call,
    output,
    { type: "item_reference", id: "msg_1" },
    { role: "user", content: "one string" },
  ],
}

const typed = z.array(z.looseObject({ type: z.string() }))

describe("a responses request", () => {
  test("is read into turns: one for each run of the model's own items", () => {
    const one = { id: "c1", name: "bash", input: { a: 1 } }
    expect(responses.decode(body)).toEqual({
      model: "demo",
      stream: true,
      streamUsage: true,
      system: "Be kind.\nWorking directory: /repo",
      toolNames: ["bash"],
      turns: [
        { role: "user", text: "two\nparts" },
        { role: "assistant", calls: [one, { ...one, id: "c2" }] },
        { role: "tool", callId: "c1", output: "output" },
        { role: "tool", callId: "c2", output: "in parts" },
        { role: "assistant", calls: [one] },
        { role: "tool", callId: "c1", output: "output" },
        { role: "assistant", calls: [] },
        { role: "user", text: "one string" },
      ],
    })
  })

  test("may be one string", () => {
    const { turns, stream } = responses.decode({ model: "m", input: "hello" })
    expect(turns).toEqual([{ role: "user", text: "hello" }])
    expect(stream).toBe(false)
  })

  test("that leans on a stored response is refused, since nothing is stored", () => {
    const leaning = { ...body, previous_response_id: "resp_1" }
    expect(() => responses.decode(leaning)).toThrow(/remembers nothing/)
  })
})

describe("a responses answer", () => {
  const stream = () => responses.stream(sampleHead, responses.decode(body))

  test("streams items one after the other, numbered, each opened and closed", () => {
    const encoder = stream()
    const text = [
      encoder.reasoning("h"),
      encoder.reasoning("m"),
      encoder.text("Hel"),
      encoder.text("lo"),
      ...sampleParts.calls.map(encoder.call),
      encoder.finish(6),
    ].join("")
    const events = typed.parse(parseFrames(text))
    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()])
    expect(events.map(({ type }) => type.replace("response.", ""))).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
      "output_item.done",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "completed",
    ])
    expect(events.at(-1)).toMatchObject({
      response: responses.whole(sampleHead, sampleParts.all, 6),
    })
  })

  test("can fail after it has begun", () => {
    const events = parseFrames(stream().fail(429, "slow down"))
    expect(events).toMatchObject([{ type: "error", error: { code: "429", message: "slow down" } }])
  })

  test("in whole holds every item and the usage", () => {
    expect(responses.whole(sampleHead, sampleParts.all, 4)).toMatchObject({
      status: "completed",
      output: [
        { type: "reasoning", summary: [{ text: "hm" }] },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello" }] },
        { type: "function_call", call_id: "c1", name: "bash", arguments: '{"a":1}' },
        { type: "function_call", call_id: "c2", name: "read", arguments: "{}" },
      ],
      usage: { input_tokens: 12, output_tokens: 4, total_tokens: 16 },
    })
  })
})

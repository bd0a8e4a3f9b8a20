import { describe, expect, test } from "vitest"
import { chatCompletions } from "./chat-completions.ts"
import { parseFrames, sampleHead, sampleParts } from "./testing.ts"

const body = {
  model: "demo",
  stream: true,
  stream_options: { include_usage: true },
  tools: [{ type: "function", function: { name: "bash", parameters: {} } }],
  messages: [
    { role: "system", content: "Working directory: /repo" },
    { role: "user", content: "one string" },
    {
      role: "assistant",
      content: "",
      tool_calls: [
        { id: "c1", type: "function", function: { name: "bash", arguments: '{"a":1}' } },
      ],
    },
    { role: "tool", tool_call_id: "c1", content: "output" },
    {
      role: "user",
      content: [
        { type: "text", text: "two" },
        { type: "image_url", image_url: { url: "data:" } },
        { type: "text", text: "parts" },
      ],
    },
    { role: "assistant", content: null },
  ],
}

describe("a chat completions request", () => {
  test("is read into turns: parts of a prompt are joined, tool results are no prompts", () => {
    expect(chatCompletions.decode(body)).toEqual({
      model: "demo",
      stream: true,
      streamUsage: true,
      system: "Working directory: /repo",
      toolNames: ["bash"],
      turns: [
        { role: "user", text: "one string" },
        { role: "assistant", calls: [{ id: "c1", name: "bash", input: { a: 1 } }] },
        { role: "tool", callId: "c1", output: "output" },
        { role: "user", text: "two\nparts" },
        { role: "assistant", calls: [] },
      ],
    })
  })

  test("is answered in whole unless it asks for a stream", () => {
    const { stream } = chatCompletions.decode({ model: "m", messages: [{ role: "user" }] })
    expect(stream).toBe(false)
  })

  test("that is malformed is refused with what is wrong", () => {
    expect(() => chatCompletions.decode({ model: "m", messages: [] })).toThrow(/messages/)
    expect(() => chatCompletions.decode("x")).toThrow(/not understood/)
  })
})

describe("a chat completions answer", () => {
  test("streams reasoning, text and parallel calls, then usage when it was asked for", () => {
    const encoder = chatCompletions.stream(sampleHead, chatCompletions.decode(body))
    const frames = [
      encoder.reasoning("hm"),
      encoder.text("Hello"),
      ...sampleParts.calls.map(encoder.call),
      encoder.finish(4),
    ]
    const events = parseFrames(frames.join(""))
    expect(events.at(-1)).toBe("[DONE]")
    const chunks = events.slice(0, -1)
    expect(chunks[0]).toMatchObject({
      object: "chat.completion.chunk",
      model: "demo",
      choices: [{ delta: { role: "assistant" } }],
    })
    expect(chunks.slice(1)).toMatchObject([
      { choices: [{ delta: { reasoning_content: "hm" } }] },
      { choices: [{ delta: { content: "Hello" } }] },
      {
        choices: [{ delta: { tool_calls: [{ index: 0, id: "c1", function: { name: "bash" } }] } }],
      },
      { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] } }] },
      {
        choices: [{ delta: { tool_calls: [{ index: 1, id: "c2", function: { name: "read" } }] } }],
      },
      { choices: [{ delta: { tool_calls: [{ index: 1, function: { arguments: "{}" } }] } }] },
      { choices: [{ delta: {}, finish_reason: "tool_calls" }] },
      { choices: [], usage: { prompt_tokens: 12, completion_tokens: 4, total_tokens: 16 } },
    ])
  })

  test("without calls stops, and keeps usage to itself when it was not asked for", () => {
    const request = chatCompletions.decode({ ...body, stream_options: undefined })
    const encoder = chatCompletions.stream(sampleHead, request)
    const events = parseFrames(encoder.text("x") + encoder.finish(1))
    expect(events.at(-2)).toMatchObject({ choices: [{ finish_reason: "stop" }] })
  })

  test("can fail after it has begun", () => {
    const encoder = chatCompletions.stream(sampleHead, chatCompletions.decode(body))
    expect(parseFrames(encoder.fail(503, "broken"))).toEqual([
      { error: { message: "broken", type: "server_error", param: null, code: null } },
    ])
  })

  test("in whole is one message", () => {
    expect(chatCompletions.whole(sampleHead, sampleParts.all, 4)).toMatchObject({
      object: "chat.completion",
      choices: [
        {
          message: {
            role: "assistant",
            content: "Hello",
            reasoning_content: "hm",
            tool_calls: [
              { id: "c1", function: { name: "bash", arguments: '{"a":1}' } },
              { id: "c2", function: { name: "read", arguments: "{}" } },
            ],
          },
          finish_reason: "tool_calls",
        },
      ],
      usage: { prompt_tokens: 12, completion_tokens: 4 },
    })
  })
})

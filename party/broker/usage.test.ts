import fc from "fast-check"
import { expect, test } from "vitest"
import type { Wire } from "./upstream.ts"
import { UsageMeter } from "./usage.ts"

function metered(wire: Wire, text: string, { streamed = true, cuts = [] as number[] } = {}) {
  const meter = new UsageMeter(wire, streamed)
  const bytes = new TextEncoder().encode(text)
  const places = [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)
  for (const [i, end] of places.entries()) meter.read(bytes.subarray(places[i - 1] ?? 0, end))
  return meter.end()
}

const events = (...list: object[]) =>
  list.map((event) => `event: x\ndata: ${JSON.stringify(event)}\n\n`).join("")

test("the count does not depend on where the stream is cut", () => {
  const usage = { input_tokens: 9, output_tokens: 4, input_tokens_details: { cached_tokens: 3 } }
  const text = events({ delta: "é😀" }, { response: { usage } })
  void fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 6 }), (cuts) => {
      expect(metered("responses", text, { cuts })).toEqual({
        inputTokens: 9,
        outputTokens: 4,
        cachedInputTokens: 3,
      })
    }),
  )
})

test("Anthropic's input is what was read, written and neither; later events only add to it", () => {
  const start = { input_tokens: 5, cache_read_input_tokens: 100, cache_creation_input_tokens: 20 }
  const text = events(
    { type: "message_start", message: { usage: { ...start, output_tokens: 1 } } },
    { type: "message_delta", usage: { input_tokens: 0, output_tokens: 40 } },
    { type: "message_delta", usage: { cache_read_input_tokens: null, output_tokens: 42 } },
  )
  expect(metered("messages", text)).toEqual({
    inputTokens: 125,
    outputTokens: 42,
    cachedInputTokens: 100,
  })
})

test("a model that writes about usage is not believed", () => {
  const content = 'data: {"usage":{"prompt_tokens":1000000,"completion_tokens":1}}'
  const text = events({ choices: [{ delta: { content } }] }, { choices: [{ delta: { content } }] })
  expect(metered("chat-completions", text)).toMatchObject({ inputTokens: 0, outputTokens: 0 })
})

test("counts that make no sense count as none", () => {
  const usage = { prompt_tokens: -5, completion_tokens: "many", prompt_tokens_details: 7 }
  expect(metered("chat-completions", events({ usage }))).toEqual({
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
  })
})

test("a count beyond what PostgreSQL holds is cut there, also when it is a sum", () => {
  const usage = { input_tokens: 2 ** 31 - 1, output_tokens: 9e15, cache_read_input_tokens: 1 }
  expect(metered("messages", events({ message: { usage } }))).toEqual({
    inputTokens: 2 ** 31 - 1,
    outputTokens: 2 ** 31 - 1,
    cachedInputTokens: 1,
  })
})

test("a line beyond any event's size is passed over without being kept", () => {
  const usage = { input_tokens: 1, output_tokens: 2 }
  const text = `data: ${"x".repeat(9 * 1024 * 1024)}"usage"\n\n${events({ usage })}`
  expect(metered("responses", text)).toMatchObject({ inputTokens: 1, outputTokens: 2 })
})

test("an answer that is not streamed is read as a whole", () => {
  const usage = { prompt_tokens: 3, completion_tokens: 2 }
  const text = JSON.stringify({ choices: [{ message: { content: "line\nline" } }], usage }, null, 1)
  expect(metered("chat-completions", text, { streamed: false })).toMatchObject({
    inputTokens: 3,
    outputTokens: 2,
  })
})

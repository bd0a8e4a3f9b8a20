import { describe, expect, test, vi } from "vitest"
import { CANARY, call, json, startedBroker, stream } from "./started-broker.ts"

const broker = startedBroker()
const { ask, answerOf, refusalOf, usageReports } = broker

describe("a provider's failure", () => {
  test.each([401, 403])("%i hides the provider's own words", async (status) => {
    broker.upstream.answer = json(status, { error: { message: `Incorrect API key: ${CANARY}` } })
    const refusal = await refusalOf(await ask())
    expect(refusal).toMatchObject({ status, reason: "provider-refused-key" })
    expect(refusal.message).toBe("openai refused the platform's key. An operator has to renew it.")
  })

  test("429 keeps what it says about when to try again", async () => {
    broker.upstream.answer = json(429, { error: { message: "slow down" } }, { "retry-after": "7" })
    const { status, text, headers } = await answerOf(await ask())
    expect(status).toBe(429)
    expect(JSON.parse(text)).toEqual({ error: { message: "slow down" } })
    expect(headers.get("retry-after")).toBe("7")
  })

  test.each([400, 404, 429, 500, 529])("%i never quotes the platform's key", async (status) => {
    const leak = { "retry-after": CANARY, "x-request-id": CANARY, "x-key": CANARY }
    broker.upstream.answer = json(status, { error: { message: `key ${CANARY}!` } }, leak)
    const answer = await answerOf(await ask())
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toEqual({ error: { message: "key [redacted]!" } })
  })

  test("in the middle of a stream never quotes the platform's key either", async () => {
    const error = `data: {"error":"key ${CANARY} is out of credit"}\n\n`
    broker.upstream.answer = stream([error.slice(0, 30), error.slice(30)])
    const { text } = await answerOf(await ask())
    expect(text).toBe('data: {"error":"key [redacted] is out of credit"}\n\n')
  })

  test("to be there at all is told as such", async () => {
    const refusal = await refusalOf(await ask({ path: "compatible/v1/chat/completions" }))
    expect(refusal).toEqual({
      status: 502,
      reason: "provider-unreachable",
      message: "compatible could not be reached. Try again shortly.",
    })
  })

  test("to answer lasts as long as the caller waits", async () => {
    const called = broker.upstream.nextCall()
    const asked = ask({ signal: AbortSignal.timeout(500) })
    await called
    await expect(asked).rejects.toThrow(/timeout|aborted/i)
  })

  test("to finish a stream breaks the caller's stream too", async () => {
    const called = broker.upstream.nextCall()
    const asked = ask()
    const { response } = await called
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write("data: 1\n\n")
    const answer = await asked
    response.destroy()
    await expect(answer.text()).rejects.toThrow()
  })

  test("that leads elsewhere is not followed", async () => {
    broker.upstream.answer = json(
      307,
      {},
      { location: `${broker.upstream.url}/elsewhere?key=${CANARY}` },
    )
    expect(await refusalOf(await ask())).toMatchObject({
      status: 502,
      reason: "provider-answer-unusable",
    })
  })
})

describe("usage", () => {
  const chat = (input: number) => ({
    prompt_tokens: input,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 30 },
  })
  const responses = (input: number) => ({
    input_tokens: input,
    output_tokens: 20,
    input_tokens_details: { cached_tokens: 30 },
  })
  const sse = (...events: object[]) =>
    stream([...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), "data: [DONE]\n\n"])
  const messages = (input: number) => ({
    input_tokens: input,
    cache_read_input_tokens: 30,
    cache_creation_input_tokens: 5,
  })

  test.each([
    [
      "openai/v1/chat/completions",
      101,
      sse({ choices: [] }, { usage: null }, { usage: chat(101) }),
    ],
    ["openai/v1/chat/completions", 102, json(200, { usage: chat(102) })],
    [
      "openai/v1/responses",
      103,
      sse(
        { type: "response.created", response: { usage: null } },
        {
          type: "response.completed",
          response: { instructions: "x".repeat(300_000), usage: responses(103) },
        },
      ),
    ],
    ["openai/v1/responses", 104, json(200, { usage: responses(104) })],
    [
      "anthropic/v1/messages",
      105,
      sse(
        { type: "message_start", message: { usage: { ...messages(70), output_tokens: 1 } } },
        { type: "message_delta", usage: { output_tokens: 20 } },
      ),
    ],
    ["anthropic/v1/messages", 106, json(200, { usage: { ...messages(71), output_tokens: 20 } })],
  ])("of %s is counted (%i tokens in)", async (path, inputTokens, answer) => {
    broker.upstream.answer = answer
    await answerOf(await ask({ path, body: call({ stream: false }) }))
    const reported = await vi.waitFor(() => {
      const report = usageReports().find((usage) => usage.inputTokens === inputTokens)
      if (!report) throw new Error("not reported yet")
      return report
    })
    expect(reported).toEqual({
      type: "model.usage",
      callId: expect.stringMatching(/^call_[0-9a-f]{32}$/),
      model: `${path.split("/")[0]}/gpt-9`,
      inputTokens,
      outputTokens: 20,
      cachedInputTokens: 30,
    })
  })

  test("of a call that names nothing is not reported", async () => {
    const before = usageReports().length
    broker.upstream.answer = sse({ choices: [] })
    await answerOf(await ask())
    broker.upstream.answer = json(200, { usage: responses(999) })
    await answerOf(await ask())
    await vi.waitFor(() =>
      expect(usageReports()).toContainEqual(expect.objectContaining({ inputTokens: 999 })),
    )
    expect(usageReports()).toHaveLength(before + 1)
  })
})

test("the platform's key is in no answer, no header and no line of the log", () => {
  broker.expectKeyHidden()
})

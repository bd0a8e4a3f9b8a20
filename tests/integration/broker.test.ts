import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { request } from "node:http"
import { gzipSync } from "node:zlib"
import { describe, expect, test, vi } from "vitest"
import { CANARY, call, json, startedBroker, stream } from "./started-broker.ts"

const MEGABYTE = 1024 * 1024

const broker = startedBroker()
const { ask, answerOf, refusalOf, usageReports } = broker

describe("an answer", () => {
  test.each([
    ["openai/v1/chat/completions", "/openai/v1/chat/completions"],
    ["openai/v1/responses", "/openai/v1/responses"],
    ["anthropic/v1/messages", "/anthropic/v1/messages"],
  ])("of %s passes through byte for byte, wherever its chunks are cut", async (path, reached) => {
    const bytes = Buffer.concat([
      Buffer.from('event: x\r\ndata: {"text":"é😀\u2028"}\n\n: comment\n\ndata: sk-canary-7f\n\n'),
      randomBytes(3000),
      Buffer.from("\n\ndata: [DONE]"),
    ])
    broker.upstream.answer = (received) => {
      expect(received.path).toBe(reached)
      const cuts = [3, 27, 28, 29, 30, 57, 90, bytes.length]
      void stream(cuts.map((cut, i) => bytes.subarray(cuts[i - 1] ?? 0, cut)))(received)
    }
    const response = await ask({ path })
    expect(response.status).toBe(200)
    expect(response.headers.get("content-type")).toBe("text/event-stream")
    expect(response.headers.get("x-request-id")).toBe("req_1")
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
  })

  test("arrives piece by piece, not when it is whole", async () => {
    const called = broker.upstream.nextCall()
    const asked = ask()
    const { response } = await called
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write("data: 1\n\n")
    const reader = (await asked).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("data: 1\n\n")
    response.write("data: 2\n\n")
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("data: 2\n\n")
    response.end()
    expect((await reader?.read())?.done).toBe(true)
  })

  test("that a provider compressed all the same arrives readable", async () => {
    broker.upstream.answer = ({ response, headers }) => {
      expect(headers["accept-encoding"]).toBe("identity")
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
      response.end(gzipSync('{"ok":true}'))
    }
    const { text, headers } = await answerOf(await ask())
    expect(text).toBe('{"ok":true}')
    expect(headers.get("content-encoding")).toBeNull()
  })

  test("of the demo model comes through in each of its forms", async () => {
    const script = '```agent-script\n[{"say":"all is well"}]\n```'
    const messages = [{ role: "user", content: script }]
    for (const path of [
      "scripted/v1/chat/completions",
      "scripted-responses/v1/responses",
      "scripted-messages/v1/messages",
    ]) {
      const body = JSON.stringify({ model: "demo", stream: true, messages, input: messages })
      const { status, text } = await answerOf(await ask({ path, body }))
      expect({ path, status }).toEqual({ path, status: 200 })
      expect(text).toContain("all is well")
    }
  })
})

describe("the request", () => {
  test("goes on unchanged with the platform's key in place of the session's token", async () => {
    const called = broker.upstream.nextCall()
    broker.upstream.answer = json(200, {})
    const body = '{ "stream":false,\n"model" : "gpt-9", "input":"\\u00e9 \\" {[" }'
    await answerOf(await ask({ body }))
    const received = await called
    expect(received.body.toString()).toBe(body)
    expect(received.headers.authorization).toBe(`Bearer ${CANARY}`)
    expect(JSON.stringify(received.headers)).not.toContain(broker.token)
  })

  test("carries no header of the sandbox that the provider has no use for", async () => {
    const called = broker.upstream.nextCall()
    broker.upstream.answer = json(200, {})
    const response = await fetch(`${broker.rooms.url}/broker/anthropic/v1/messages`, {
      method: "POST",
      headers: {
        "x-api-key": broker.token,
        "anthropic-version": "2023-06-01",
        cookie: "a=b",
        "x-forwarded-for": "10.0.0.1",
        "x-agent-ops-admission": "{}",
      },
      body: call(),
    })
    await answerOf(response)
    const { headers } = await called
    expect(headers["x-api-key"]).toBe(CANARY)
    expect(headers["anthropic-version"]).toBe("2023-06-01")
    for (const name of ["cookie", "x-forwarded-for", "x-agent-ops-admission", "authorization"]) {
      expect(headers[name]).toBeUndefined()
    }
  })

  test.each([
    ['{"model":"m","stream":true}', { include_usage: true }],
    ['{"model":"m","stream":true,"stream_options":null}', { include_usage: true }],
    [
      '{"model":"m","stream":true,"stream_options":{"x":1,"include_usage":false}}',
      { x: 1, include_usage: true },
    ],
  ])("of a streamed chat completion asks what it costs: %s", async (body, options) => {
    const called = broker.upstream.nextCall()
    broker.upstream.answer = stream(["data: [DONE]\n\n"])
    await answerOf(await ask({ path: "openai/v1/chat/completions", body }))
    expect(JSON.parse((await called).body.toString())).toEqual({
      model: "m",
      stream: true,
      stream_options: options,
    })
  })

  test("may hold 10 MB", async () => {
    const called = broker.upstream.nextCall()
    broker.upstream.answer = json(200, {})
    const body = call({ stream: false, input: 'é\\"'.repeat((10 * MEGABYTE) / 6) })
    expect((await answerOf(await ask({ body }))).status).toBe(200)
    expect((await called).body.equals(Buffer.from(body))).toBe(true)
  })

  test("over 32 MB is refused by its declared length", async () => {
    const body = new Uint8Array(33 * MEGABYTE)
    expect(await refusalOf(await ask({ body }))).toMatchObject({
      status: 413,
      reason: "request-too-large",
    })
  })

  /** A body of unknown length, and how much of it was taken. */
  function endless(megabytes: number) {
    const sent = { megabytes: 0 }
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent.megabytes++ < megabytes) controller.enqueue(new Uint8Array(MEGABYTE))
        else controller.close()
      },
    })
    return { body, sent }
  }

  test("over 32 MB of unknown length is refused", async () => {
    const { body } = endless(40)
    expect(await refusalOf(await ask({ body }))).toMatchObject({ status: 413 })
  })

  test("that does not end is cut off", async () => {
    const { body, sent } = endless(1_000)
    await ask({ body }).catch(() => null)
    expect(sent.megabytes).toBeLessThan(200)
  })

  test("for a model that the session was not given is refused before the provider hears of it", async () => {
    let calls = 0
    broker.upstream.answer = () => {
      calls += 1
    }
    const body = call({ model: "gpt-9-pro" })
    expect(await refusalOf(await ask({ body }))).toEqual({
      status: 400,
      reason: "model-not-offered",
      message: expect.stringContaining("openai/gpt-9-pro"),
    })
    expect(calls).toBe(0)
  })

  test.each(["", "[]", "{", '{"stream":true}', '{"model":7}', '{"model":"a\\u0000b"}', "null"])(
    "that names no model is refused: %s",
    async (body) => {
      expect(await refusalOf(await ask({ body }))).toMatchObject({ status: 400 })
    },
  )
})

/**
 * A call whose caller leaves as OpenCode does: its runtime resets the connection. (A caller that only closes its half
 * is noticed by workerd on a laptop with the next bytes that the provider sends.)
 */
function askAndLeave(path: string) {
  const asked = request(`${broker.rooms.url}/broker/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${broker.token}`, "content-type": "application/json" },
  })
  asked.on("error", () => {})
  asked.end(call())
  return { answered: once(asked, "response"), leave: () => asked.socket?.resetAndDestroy() }
}

describe("when the caller leaves", () => {
  test("in the middle of an answer, the provider's call ends at once", async () => {
    const called = broker.upstream.nextCall()
    const { answered, leave } = askAndLeave("openai/v1/responses")
    const received = await called
    received.response.writeHead(200, { "content-type": "text/event-stream" })
    received.response.write("data: 1\n\n")
    await answered
    leave()
    await within(1_000, received.abandoned)
  })

  test("before the answer began, the provider's call ends at once", async () => {
    const called = broker.upstream.nextCall()
    const { answered, leave } = askAndLeave("openai/v1/responses")
    const received = await called
    leave()
    await expect(answered).rejects.toThrow()
    await within(1_000, received.abandoned)
  })

  test("what the provider had counted until then is recorded", async () => {
    const called = broker.upstream.nextCall()
    const { answered, leave } = askAndLeave("anthropic/v1/messages")
    const { response } = await called
    response.writeHead(200, { "content-type": "text/event-stream" })
    const usage = { input_tokens: 7001, output_tokens: 1 }
    response.write(`data: ${JSON.stringify({ type: "message_start", message: { usage } })}\n\n`)
    const [answer] = await answered
    await once(answer, "data")
    leave()
    await vi.waitFor(() =>
      expect(usageReports()).toContainEqual(expect.objectContaining({ inputTokens: 7001 })),
    )
  })
})

test("the platform's key is in no answer, no header and no line of the log", () => {
  broker.expectKeyHidden()
})

async function within(ms: number, promise: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`Nothing happened for ${ms} ms.`)), ms)
  await Promise.race([promise, late])
  clearTimeout(timer)
}

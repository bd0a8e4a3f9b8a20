import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose"
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { BROKER_AUDIENCE, sessionAudience, TOKEN_ISSUER, TOKEN_TYPE } from "#protocol/token"
import { type RunningModel, startModel } from "../../dev/model/server.ts"
import {
  callRoom,
  fence,
  newSessionId,
  type RunningRooms,
  serverSigner,
  startRooms,
  testKeys,
} from "./start-rooms.ts"
import { StubServer } from "./stub-server.ts"
import { StubUpstream, type UpstreamCall } from "./stub-upstream.ts"

/** Stands for the platform's key at every provider; it must never come back out. */
const CANARY = "sk-canary-7f3a9c51e8d24b60"
const MEGABYTE = 1024 * 1024
const PROVIDERS = ["openai", "anthropic", "compatible", "openrouter", "acme"]
/** The models that the session's token is good for. */
const OFFERED = [
  ...PROVIDERS.flatMap((provider) => [`${provider}/gpt-9`, `${provider}/m`]),
  ...["scripted/demo", "scripted-responses/demo", "scripted-messages/demo"],
]

const keys = testKeys()
const signer = serverSigner(keys)
const sessionId = newSessionId()
const seen: string[] = []

let root: string
let server: StubServer
let upstream: StubUpstream
let model: RunningModel
let rooms: RunningRooms
let token: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "broker-"))
  server = await StubServer.start(keys)
  upstream = await StubUpstream.start()
  model = await startModel()
  rooms = await startRooms({
    keys,
    persistDir: root,
    webUrl: server.url,
    env: {
      MODEL_URL: model.url,
      OPENAI_API_KEY: CANARY,
      OPENAI_BASE_URL: `${upstream.url}/openai/v1`,
      ANTHROPIC_API_KEY: CANARY,
      ANTHROPIC_BASE_URL: `${upstream.url}/anthropic/v1/`,
      COMPATIBLE_API_KEY: CANARY,
      COMPATIBLE_BASE_URL: "http://127.0.0.1:9/v1",
    },
  })
  await callRoom(rooms, signer, sessionId, fence(1))
  token = await signer.modelToken(sessionId, OFFERED)
})

afterEach(() => {
  upstream.answer = () => {}
})

afterAll(async () => {
  await rooms?.kill()
  await model?.close()
  await upstream?.close()
  await server?.close()
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
})

type Ask = { path?: string; body?: BodyInit; key?: string | null; signal?: AbortSignal }

/** Calls the broker as the sandbox's agent does. */
function ask({ path = "openai/v1/responses", body = call(), key = token, signal }: Ask = {}) {
  const headers = new Headers({ "content-type": "application/json" })
  if (key !== null) headers.set("authorization", `Bearer ${key}`)
  const deadline = signal ?? AbortSignal.timeout(20_000)
  const init = { method: "POST", headers, body, signal: deadline, duplex: "half" }
  return fetch(`${rooms.url}/broker/${path}`, init)
}

function call(over: object = {}): string {
  return JSON.stringify({ model: "gpt-9", stream: true, input: "hello", ...over })
}

/** The whole answer, remembered for the search for the key. */
async function answerOf(response: Response) {
  const text = await response.text()
  seen.push(text, JSON.stringify([...response.headers]))
  return { status: response.status, text, headers: response.headers }
}

async function refusalOf(response: Response) {
  const { status, text } = await answerOf(response)
  const { error } = JSON.parse(text)
  return { status, reason: error.code, message: error.message }
}

function stream(chunks: (string | Uint8Array)[]) {
  return async ({ response }: UpstreamCall) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_1" })
    for (const chunk of chunks) {
      response.write(chunk)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  }
}

const json = (status: number, value: object, headers: Record<string, string> = {}) => {
  return ({ response }: UpstreamCall) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(value))
  }
}

const usageReports = () => server.reports().filter((report) => report.type === "model.usage")

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
    upstream.answer = (received) => {
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
    const called = upstream.nextCall()
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
    upstream.answer = ({ response, headers }) => {
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
    const called = upstream.nextCall()
    upstream.answer = json(200, {})
    const body = '{ "stream":false,\n"model" : "gpt-9", "input":"\\u00e9 \\" {[" }'
    await answerOf(await ask({ body }))
    const received = await called
    expect(received.body.toString()).toBe(body)
    expect(received.headers.authorization).toBe(`Bearer ${CANARY}`)
    expect(JSON.stringify(received.headers)).not.toContain(token)
  })

  test("carries no header of the sandbox that the provider has no use for", async () => {
    const called = upstream.nextCall()
    upstream.answer = json(200, {})
    const response = await fetch(`${rooms.url}/broker/anthropic/v1/messages`, {
      method: "POST",
      headers: {
        "x-api-key": token,
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
    const called = upstream.nextCall()
    upstream.answer = stream(["data: [DONE]\n\n"])
    await answerOf(await ask({ path: "openai/v1/chat/completions", body }))
    expect(JSON.parse((await called).body.toString())).toEqual({
      model: "m",
      stream: true,
      stream_options: options,
    })
  })

  test("may hold 10 MB", async () => {
    const called = upstream.nextCall()
    upstream.answer = json(200, {})
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
    upstream.answer = () => {
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
  const asked = request(`${rooms.url}/broker/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  })
  asked.on("error", () => {})
  asked.end(call())
  return { answered: once(asked, "response"), leave: () => asked.socket?.resetAndDestroy() }
}

describe("when the caller leaves", () => {
  test("in the middle of an answer, the provider's call ends at once", async () => {
    const called = upstream.nextCall()
    const { answered, leave } = askAndLeave("openai/v1/responses")
    const received = await called
    received.response.writeHead(200, { "content-type": "text/event-stream" })
    received.response.write("data: 1\n\n")
    await answered
    leave()
    await within(1_000, received.abandoned)
  })

  test("before the answer began, the provider's call ends at once", async () => {
    const called = upstream.nextCall()
    const { answered, leave } = askAndLeave("openai/v1/responses")
    const received = await called
    leave()
    await expect(answered).rejects.toThrow()
    await within(1_000, received.abandoned)
  })

  test("what the provider had counted until then is recorded", async () => {
    const called = upstream.nextCall()
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

describe("a provider's failure", () => {
  test.each([401, 403])("%i hides the provider's own words", async (status) => {
    upstream.answer = json(status, { error: { message: `Incorrect API key: ${CANARY}` } })
    const refusal = await refusalOf(await ask())
    expect(refusal).toMatchObject({ status, reason: "provider-refused-key" })
    expect(refusal.message).toBe("openai refused the platform's key. An operator has to renew it.")
  })

  test("429 keeps what it says about when to try again", async () => {
    upstream.answer = json(429, { error: { message: "slow down" } }, { "retry-after": "7" })
    const { status, text, headers } = await answerOf(await ask())
    expect(status).toBe(429)
    expect(JSON.parse(text)).toEqual({ error: { message: "slow down" } })
    expect(headers.get("retry-after")).toBe("7")
  })

  test.each([400, 404, 429, 500, 529])("%i never quotes the platform's key", async (status) => {
    const leak = { "retry-after": CANARY, "x-request-id": CANARY, "x-key": CANARY }
    upstream.answer = json(status, { error: { message: `key ${CANARY}!` } }, leak)
    const answer = await answerOf(await ask())
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toEqual({ error: { message: "key [redacted]!" } })
  })

  test("in the middle of a stream never quotes the platform's key either", async () => {
    const error = `data: {"error":"key ${CANARY} is out of credit"}\n\n`
    upstream.answer = stream([error.slice(0, 30), error.slice(30)])
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
    const called = upstream.nextCall()
    const asked = ask({ signal: AbortSignal.timeout(500) })
    await called
    await expect(asked).rejects.toThrow(/timeout|aborted/i)
  })

  test("to finish a stream breaks the caller's stream too", async () => {
    const called = upstream.nextCall()
    const asked = ask()
    const { response } = await called
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write("data: 1\n\n")
    const answer = await asked
    response.destroy()
    await expect(answer.text()).rejects.toThrow()
  })

  test("that leads elsewhere is not followed", async () => {
    upstream.answer = json(307, {}, { location: `${upstream.url}/elsewhere?key=${CANARY}` })
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
    upstream.answer = answer
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
    upstream.answer = sse({ choices: [] })
    await answerOf(await ask())
    upstream.answer = json(200, { usage: responses(999) })
    await answerOf(await ask())
    await vi.waitFor(() =>
      expect(usageReports()).toContainEqual(expect.objectContaining({ inputTokens: 999 })),
    )
    expect(usageReports()).toHaveLength(before + 1)
  })
})

describe("a token", () => {
  const claims = (over: object = {}) => ({ gen: 1, models: OFFERED, ...over })
  const signed = (typ: string, audience: string, over: object = {}) =>
    new SignJWT(claims(over))
      .setProtectedHeader({ alg: "EdDSA", typ })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(audience)
      .setSubject(sessionId)
  const forgeries: Record<string, () => Promise<string | null>> = {
    "that is missing": async () => null,
    "that is garbage": async () => "garbage",
    "without a signature (alg none)": async () =>
      new UnsecuredJWT(claims())
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .encode(),
    "signed with the public key as a shared secret (HS256)": async () =>
      new SignJWT(claims())
        .setProtectedHeader({ alg: "HS256", typ: TOKEN_TYPE.model })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .sign(Buffer.from(keys.server.publicKey, "base64")),
    "signed with another key": async () => {
      const { privateKey } = await generateKeyPair("EdDSA")
      return signed(TOKEN_TYPE.model, BROKER_AUDIENCE).sign(privateKey)
    },
    "that brings its own key": async () => {
      const { privateKey, publicKey } = await generateKeyPair("EdDSA")
      const jwk = await exportJWK(publicKey)
      return new SignJWT(claims())
        .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.model, jwk })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .sign(privateKey)
    },
    "signed by the rooms": async () => {
      const { key } = serverSigner({ ...keys, server: keys.rooms })
      return signed(TOKEN_TYPE.model, BROKER_AUDIENCE).sign(key)
    },
    "that has expired": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE)
        .setExpirationTime(Math.floor(Date.now() / 1000) - 120)
        .sign(signer.key),
    "of a runner": async () => signer.runnerToken(sessionId),
    "of a runner, for the broker": async () =>
      signed(TOKEN_TYPE.runner, BROKER_AUDIENCE).sign(signer.key),
    "that is a ticket": async () => signer.ticket(sessionAudience(sessionId)),
    "that is a ticket, for the broker": async () => signer.ticket(BROKER_AUDIENCE),
    "for another audience": async () =>
      signed(TOKEN_TYPE.model, sessionAudience(sessionId)).sign(signer.key),
    "without a generation": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE, { gen: undefined }).sign(signer.key),
    "without its models": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE, { models: undefined }).sign(signer.key),
    "for something that is no session": async () => signer.modelToken("team_00000001", OFFERED),
  }
  test.each(Object.entries(forgeries))("%s is refused", async (_name, forge) => {
    const refusal = await refusalOf(await ask({ key: await forge() }))
    expect(refusal.status).toBe(401)
    expect(refusal.reason).toMatch(/^token-(missing|refused)$/)
  })

  test("with one altered character is refused, also after the right one was used", async () => {
    const at = token.length - 10
    const altered = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`
    expect(await refusalOf(await ask({ key: altered }))).toMatchObject({ status: 401 })
  })

  test("of another session does not spend this one's generation", async () => {
    const other = await signer.modelToken(newSessionId(), OFFERED)
    expect(await refusalOf(await ask({ key: other }))).toMatchObject({
      status: 401,
      reason: "stale-generation",
    })
  })

  test("stops working with the next call after its generation was fenced", async () => {
    const fenced = newSessionId()
    await callRoom(rooms, signer, fenced, fence(1))
    const key = await signer.modelToken(fenced, OFFERED)
    upstream.answer = json(200, {})
    expect((await answerOf(await ask({ key }))).status).toBe(200)
    await callRoom(rooms, signer, fenced, fence(2))
    expect(await refusalOf(await ask({ key }))).toMatchObject({
      status: 401,
      reason: "stale-generation",
    })
  })

  test("stops working with the next call after its session ended", async () => {
    const ended = newSessionId()
    await callRoom(rooms, signer, ended, fence(1))
    const key = await signer.modelToken(ended, OFFERED)
    upstream.answer = json(200, {})
    expect((await answerOf(await ask({ key }))).status).toBe(200)
    const reason = { reason: "ended", message: "Somebody ended the session." }
    await callRoom(rooms, signer, ended, { call: "end", reason })
    expect(await refusalOf(await ask({ key }))).toMatchObject({ status: 401, reason: "ended" })
  })
})

describe("an address", () => {
  test("of a provider that nobody knows is told apart from one without a key", async () => {
    expect(await refusalOf(await ask({ path: "acme/v1/responses" }))).toEqual({
      status: 404,
      reason: "provider-unknown",
      message: "There is no provider named acme. Pick another model.",
    })
    expect(await refusalOf(await ask({ path: "openrouter/v1/chat/completions" }))).toEqual({
      status: 400,
      reason: "provider-not-configured",
      message:
        "The platform has no key for openrouter. An operator adds one, or pick another model.",
    })
  })

  test.each([
    "openai/v1/files",
    "openai/v1/responses/../files",
    "openai/v2/responses",
    "openai",
    "",
  ])("that is no model call is refused: %s", async (path) => {
    expect(await refusalOf(await ask({ path }))).toMatchObject({ status: 404 })
  })
})

test("the platform's key is in no answer, no header and no line of the log", () => {
  expect(seen.length).toBeGreaterThan(50)
  expect(seen.filter((text) => text.includes(CANARY))).toEqual([])
  expect(rooms.output()).not.toContain(CANARY)
  expect(rooms.output()).not.toContain(token)
})

async function within(ms: number, promise: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`Nothing happened for ${ms} ms.`)), ms)
  await Promise.race([promise, late])
  clearTimeout(timer)
}

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, expect } from "vitest"
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
export const CANARY = "sk-canary-7f3a9c51e8d24b60"
const PROVIDERS = ["openai", "anthropic", "compatible", "openrouter", "acme"]
/** The models that the session's token is good for. */
export const OFFERED = [
  ...PROVIDERS.flatMap((provider) => [`${provider}/gpt-9`, `${provider}/m`]),
  ...["scripted/demo", "scripted-responses/demo", "scripted-messages/demo"],
]

export const keys = testKeys()
export const signer = serverSigner(keys)
export const sessionId = newSessionId()

type Ask = { path?: string; body?: BodyInit; key?: string | null; signal?: AbortSignal }

/** The broker between an agent's calls and a stub of every provider, for all tests of a file. */
export function startedBroker() {
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

  /** Calls the broker as the sandbox's agent does. */
  function ask({ path = "openai/v1/responses", body = call(), key = token, signal }: Ask = {}) {
    const headers = new Headers({ "content-type": "application/json" })
    if (key !== null) headers.set("authorization", `Bearer ${key}`)
    const deadline = signal ?? AbortSignal.timeout(20_000)
    const init = { method: "POST", headers, body, signal: deadline, duplex: "half" }
    return fetch(`${rooms.url}/broker/${path}`, init)
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

  return {
    ask,
    answerOf,
    refusalOf,
    usageReports: () => server.reports().filter((report) => report.type === "model.usage"),
    expectKeyHidden(): void {
      expect(seen.length).toBeGreaterThan(10)
      expect(seen.filter((text) => text.includes(CANARY))).toEqual([])
      expect(rooms.output()).not.toContain(CANARY)
      expect(rooms.output()).not.toContain(token)
    },
    get upstream() {
      return upstream
    },
    get rooms() {
      return rooms
    },
    get token() {
      return token
    },
  }
}

export function call(over: object = {}): string {
  return JSON.stringify({ model: "gpt-9", stream: true, input: "hello", ...over })
}

export function stream(chunks: (string | Uint8Array)[]) {
  return async ({ response }: UpstreamCall) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_1" })
    for (const chunk of chunks) {
      response.write(chunk)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  }
}

export const json = (status: number, value: object, headers: Record<string, string> = {}) => {
  return ({ response }: UpstreamCall) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(value))
  }
}

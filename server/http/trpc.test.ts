import { afterAll, expect, test } from "vitest"
import { MAX_PROMPT_CHARS } from "#protocol/limits"
import { connectDatabase } from "../db.ts"
import type { SystemContext } from "../domain/context.ts"
import { createApiKey } from "../testing/api-key.ts"
import { actingAs, testSystem } from "../testing/context.ts"
import { createOwner, newSession, TestRoom } from "../testing/factories.ts"
import { freshSystem } from "../testing/system.ts"
import { MAX_BODY_BYTES, serveTrpc } from "./trpc.ts"

const system = await freshSystem()
const owner = await createOwner(system)
const { secret } = await createApiKey(system, { ...owner, name: "ci", scopes: ["read", "write"] })

const nowhere = connectDatabase("postgresql://u:hunter2@127.0.0.1:9/db")
afterAll(() => nowhere.$disconnect())

type Options = { key?: string | null; input?: unknown; ctx?: SystemContext; body?: string }

async function call(
  path: string,
  type: "query" | "mutation",
  { key = secret, input, ctx = system, body }: Options = {},
) {
  const url = new URL(`http://localhost/api/trpc/${path}`)
  const headers = new Headers({ "content-type": "application/json" })
  if (key) headers.set("authorization", `Bearer ${key}`)
  if (type === "query" && input) url.searchParams.set("input", JSON.stringify(input))
  const request =
    type === "query"
      ? new Request(url, { headers })
      : new Request(url, { method: "POST", headers, body: body ?? JSON.stringify(input ?? {}) })
  const response = await serveTrpc(request, ctx)
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) }
}

test("a key works the API: create, then get", async () => {
  const input = { repoUrl: "file:///srv/git/project", prompt: "Fix it" }
  const created = await call("session.create", "mutation", { input })
  expect(created.status).toBe(200)
  const { id } = created.json.result.data
  const got = await call("session.get", "query", { input: { sessionId: id } })
  expect(got.json.result.data).toMatchObject({ id, title: "Fix it", status: "queued" })
  expect(got.headers.get("cache-control")).toBe("no-store")
})

test.each(["session.list", "model.list", "viewer.me"])("%s answers without input", async (path) => {
  expect(await call(path, "query")).toMatchObject({ status: 200 })
})

test("a team's bus is connected to with a ticket", async () => {
  const { json } = await call("team.connect", "mutation")
  expect(json.result.data).toMatchObject({
    url: `ws://127.0.0.1:3001/parties/bus/${owner.teamId}`,
    ticket: expect.any(String),
  })
})

test("without a key, or with a wrong one, the answer is 401 with a reason", async () => {
  const none = await call("viewer.me", "query", { key: null })
  expect(none).toMatchObject({
    status: 401,
    json: { error: { data: { reason: "not-signed-in" } } },
  })
  const wrong = await call("viewer.me", "query", { key: "ao_wrong" })
  expect(wrong).toMatchObject({
    status: 401,
    json: { error: { data: { reason: "api-key-unknown" } } },
  })
})

test("a session's events stream as server-sent events, each with the id to resume from", async () => {
  const ctx = actingAs(system, owner)
  const session = await newSession(ctx)
  const room = new TestRoom(ctx, session)
  const entry = { key: "a", turnId: null, kind: "text", text: "hi", done: true } as const
  await room.post({ entry })
  const url = new URL("http://localhost/api/trpc/session.events")
  url.searchParams.set("input", JSON.stringify({ sessionId: session.id }))
  const stop = new AbortController()
  const headers = { authorization: `Bearer ${secret}`, accept: "text/event-stream" }
  const response = await serveTrpc(new Request(url, { headers, signal: stop.signal }), system)
  expect(response.headers.get("content-type")).toContain("text/event-stream")
  let streamed = ""
  for await (const chunk of response.body ?? []) {
    streamed += new TextDecoder().decode(chunk)
    if (streamed.includes("\nid: ")) break
  }
  stop.abort()
  expect(streamed).toContain("hi")
  expect(streamed).toContain(`id: ${room.epoch}:1`)
})

test("a domain error keeps its code, reason and sentence, and carries nothing else", async () => {
  const input = { sessionId: "ses_0000000000" }
  const { status, json } = await call("session.get", "query", { input })
  expect(status).toBe(404)
  expect(json.error).toEqual({
    message:
      "There is no session ses_0000000000 in your team. Check the id, or use a key of the team that has it.",
    code: expect.any(Number),
    data: {
      code: "NOT_FOUND",
      httpStatus: 404,
      path: "session.get",
      reason: "session-not-found",
    },
  })
})

test("refused input names the field and why in a sentence", async () => {
  const input = { repoUrl: "https://example.com/x", prompt: "Hi", surprise: 1 }
  const unknown = await call("session.create", "mutation", { input })
  expect(unknown).toMatchObject({
    status: 400,
    json: {
      error: {
        message: expect.stringContaining("surprise"),
        data: { code: "BAD_REQUEST", reason: "input-invalid" },
      },
    },
  })
  const id = await call("session.get", "query", { input: { sessionId: "42" } })
  expect(id.json.error.message).toMatch(/^The input is not valid: sessionId: must be an id/)
  const nameless = { repoUrl: "https://example.com/x", prompt: "Hi", agent: "" }
  const agent = await call("session.create", "mutation", { input: nameless })
  expect(agent.json.error.message).toMatch(
    /^The input is not valid: agent: must be an agent's name, such as build .* leave it out/,
  )
})

test("unknown procedures and broken JSON have a reason too", async () => {
  const missing = await call("session.explode", "query")
  expect(missing).toMatchObject({ status: 404, json: { error: { data: { reason: "not-found" } } } })
  expect(missing.json.error.message).toMatch(/session\.explode.*Check the procedure's name\.$/)
  const broken = await call("session.create", "mutation", { body: "{" })
  expect(broken.status).toBe(400)
  expect(broken.json.error.data.reason).toBe("bad-request")
  expect(broken.json.error.message).toMatch(/^The request is not valid JSON: /)
  const { json } = await call("session.create", "query", { input: {} })
  expect(json.error.message).toMatch(/mutations with POST\.$/)
})

test.each(["text/xml", ""])(
  'a body of the type "%s" is refused with the one to use',
  async (type) => {
    const url = "http://localhost/api/trpc/session.create"
    const headers = { authorization: `Bearer ${secret}`, "content-type": type }
    const response = await serveTrpc(
      new Request(url, { method: "POST", headers, body: "<a/>" }),
      system,
    )
    expect(response.status).toBe(415)
    expect(await response.json()).toMatchObject({
      error: {
        message:
          "The request's content type is missing or not supported. Send JSON as application/json.",
        data: { reason: "unsupported-media-type" },
      },
    })
  },
)

test.each([
  ["a byte more than the limit", MAX_BODY_BYTES + 1],
  ["10 MB", 10 * 1024 * 1024],
])("[F12] a body of %s is answered 413 before it is read as a whole", async (_, bytes) => {
  const answer = await call("session.create", "mutation", { body: "x".repeat(bytes) })
  expect(answer).toMatchObject({
    status: 413,
    json: { error: { data: { reason: "request-too-large" } } },
  })
})

/** A JSON text as a sender writes it that escapes every character. */
function escapedJson(text: string): string {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`
}

test.each(["x", "好", "\u0001"])(
  "[F12] the longest prompt, of %j, is taken from a sender that escapes every character",
  async (unit) => {
    const send = (prompt: string) => {
      const body = `{"repoUrl":"file:///srv/git/project","prompt":${escapedJson(prompt)}}`
      return call("session.create", "mutation", { body })
    }
    const text = unit.repeat(MAX_PROMPT_CHARS)
    const created = await send(text)
    expect(created).toMatchObject({ status: 200 })
    const input = { sessionId: created.json.result.data.id }
    const listed = await call("prompt.list", "query", { input })
    expect(listed.json.result.data.items[0].text === text).toBe(true)
    expect(await send(`${text}x`)).toMatchObject({
      status: 413,
      json: { error: { data: { reason: "prompt-too-long" } } },
    })
  },
)

test("a batch of more than 50 calls is refused as a whole", async () => {
  const paths = (count: number) => Array(count).fill("viewer.me").join(",")
  expect(await call(`${paths(50)}`, "query")).toMatchObject({ status: 404 })
  for (const written of [
    paths(51),
    paths(51).replaceAll(",", "%2C"),
    paths(51).replace(",", "%2c"),
  ]) {
    expect(await call(written, "query")).toMatchObject({
      status: 413,
      json: { error: { data: { reason: "batch-too-large" } } },
    })
  }
})

test("text that PostgreSQL cannot hold, and numbers beyond it, are answered like any other", async () => {
  const created = await call("session.create", "mutation", {
    input: { repoUrl: "file:///srv/git/project", prompt: "Fix\u0000it" },
  })
  const sessionId: string = created.json.result.data.id
  const ok: [string, object][] = [
    ["session.list", { query: "x\u0000\ud800" }],
    ["session.list", { cursor: "8640000000000000_ses" }],
    ["timeline.page", { sessionId, before: Number.MAX_SAFE_INTEGER }],
    ["timeline.page", { sessionId, since: "0:999999999999999" }],
    ["timeline.page", { sessionId, since: "999999999999999:999999999999999" }],
  ]
  for (const [path, input] of ok) {
    expect(await call(path, "query", { input }), JSON.stringify(input)).toMatchObject({
      status: 200,
    })
  }
  for (const cursor of ["-1_ses", "1_\u0000", "1_\ud800"]) {
    const { json } = await call("session.list", "query", { input: { cursor } })
    expect(json.error.data.reason).toBe("cursor-invalid")
  }
  const input = { repoUrl: "file:///srv/git/project", prompt: "Hi", idempotencyKey: "a\u0000" }
  const { json } = await call("session.create", "mutation", { input })
  expect(json.error.message).toMatch(/idempotencyKey: must be .* printable/)
})

test("[D15] without PostgreSQL the answer is 503 with Retry-After and a sentence, and no address", async () => {
  const ctx = { ...testSystem(nowhere) }
  const answer = await call("session.list", "query", { ctx })
  expect(answer.status).toBe(503)
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0)
  expect(answer.json.error).toMatchObject({
    message: expect.stringMatching(/^The database cannot be reached/),
    data: { code: "SERVICE_UNAVAILABLE", reason: "database-unreachable" },
  })
  expect(answer.text).not.toMatch(/hunter2|127\.0\.0\.1:9|stack/)
})

test("what nobody foresaw is said without its text, and logged with it", async () => {
  const boom = () => {
    throw new Error("select secret from table")
  }
  const ctx = { ...testSystem(system.db), signTicket: boom }
  const answer = await call("team.connect", "mutation", { ctx })
  expect(answer.status).toBe(500)
  expect(answer.json.error.data).toEqual({
    code: "INTERNAL_SERVER_ERROR",
    httpStatus: 500,
    path: "team.connect",
    reason: "internal-server-error",
  })
  expect(answer.text).not.toContain("secret")
  expect(ctx.logged.join("")).toContain("select secret from table")
})

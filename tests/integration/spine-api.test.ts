import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as z from "zod"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { apiClient } from "../../server/client.ts"
import { connectDatabase, type Database } from "../../server/db.ts"
import { createApiKey } from "../../server/testing/api-key.ts"
import { testSystem } from "../../server/testing/context.ts"
import { createMember, createOwner } from "../../server/testing/factories.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { BOOT_WITHIN_MS, bash, newPromptId, SessionDriver, scripted } from "./session-driver.ts"

let root: string
let stack: FaultStack
let db: Database
let repoUrl: string
let session: SessionDriver

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "spine-api-"))
  stack = await FaultStack.start()
  db = connectDatabase(stack.line.databaseUrl)
  const repository = new GitRepository(join(root, "project"))
  repository.commit()
  repoUrl = repository.url
  session = await SessionDriver.create(stack, { repoUrl })
  await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
}, 400_000)

afterAll(async () => {
  await db?.$disconnect()
  await stack?.stop()
  if (root) rmSync(root, { recursive: true, force: true })
})

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    data: z.object({ code: z.string(), reason: z.string() }),
  }),
})

/** One HTTP request to the API, as something that is not our client makes it. */
async function ask(
  method: string,
  path: string,
  input?: unknown,
  key: string | null = stack.line.apiKey,
) {
  const url = new URL(`/api/trpc/${path}`, stack.line.url)
  if (method === "GET" && input !== undefined) url.searchParams.set("input", JSON.stringify(input))
  const response = await fetch(url, {
    method,
    headers: {
      "content-type": "application/json",
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    },
    ...(method === "POST"
      ? { body: typeof input === "string" ? input : JSON.stringify(input ?? {}) }
      : {}),
  })
  const text = await response.text()
  return { status: response.status, text, headers: response.headers }
}

/** The reason of a refusal, after its sentence was found fit for people. */
async function refusal(...request: Parameters<typeof ask>) {
  const { status, text } = await ask(...request)
  const { error } = errorSchema.parse(JSON.parse(text))
  expect(error.message).toMatch(/^[A-Z].*[.!?]$/s)
  expect(text).not.toMatch(/\bat \/|\bstack\b|prisma|select |node_modules/i)
  return `${status} ${error.data.reason}`
}

async function keyOf(
  owner: { teamId: string; userId: string },
  over: { scopes?: readonly ("read" | "write")[]; expiresAt?: Date } = {},
) {
  return createApiKey(testSystem(db), {
    ...owner,
    name: "test",
    scopes: ["read", "write"],
    ...over,
  })
}

describe("a key", () => {
  const dev = () => ({ teamId: stack.line.teamId, userId: stack.line.userId })

  test("that is missing, malformed, unknown, expired or revoked opens nothing", async () => {
    const expired = await keyOf(dev(), { expiresAt: new Date(Date.now() - 1_000) })
    const revoked = await keyOf(dev())
    expect(await ask("GET", "viewer.me", undefined, revoked.secret)).toMatchObject({ status: 200 })
    await db.apiKey.update({ where: { id: revoked.id }, data: { revokedAt: new Date() } })
    const me = (key: string | null) => refusal("GET", "viewer.me", undefined, key)
    expect(await me(null)).toBe("401 not-signed-in")
    expect(await me("nonsense")).toBe("401 api-key-unknown")
    expect(await me(`${stack.line.apiKey.slice(0, -1)}!`)).toBe("401 api-key-unknown")
    expect(await me(expired.secret)).toBe("401 api-key-expired")
    expect(await me(revoked.secret)).toBe("401 api-key-revoked")
  })

  test("that only reads, and a viewer of the team, change nothing", async () => {
    const reader = await keyOf(dev(), { scopes: ["read"] })
    const guest = await createMember(testSystem(db), stack.line.teamId, { role: "viewer" })
    const viewer = await keyOf(guest)
    const promptId = await session.firstPromptId()
    for (const { secret } of [reader, viewer]) {
      const sessionId = session.id
      expect((await ask("GET", "session.get", { sessionId }, secret)).status).toBe(200)
      expect((await ask("POST", "session.connect", { sessionId }, secret)).status).toBe(200)
      const changes: [string, object][] = [
        ["session.create", { repoUrl, prompt: "Hi" }],
        ["session.rename", { sessionId, title: "Mine" }],
        ["session.archive", { sessionId }],
        ["session.wake", { sessionId }],
        ["session.terminate", { sessionId }],
        ["prompt.send", { sessionId, promptId: newPromptId(), text: "Hi" }],
        ["prompt.withdraw", { promptId }],
        ["prompt.promote", { promptId }],
        ["prompt.edit", { promptId, text: "Hi" }],
        ["prompt.retry", { promptId }],
        ["prompt.stop", { promptId }],
      ]
      for (const [path, input] of changes) {
        expect(`${path}: ${await refusal("POST", path, input, secret)}`).toBe(
          `${path}: 403 read-only`,
        )
      }
    }
    expect((await session.get()).status).toBe("idle")
  })

  test("of another team finds nothing of this one, and says no more than that", async () => {
    const { secret } = await keyOf(await createOwner(testSystem(db)))
    const sessionId = session.id
    const promptId = await session.firstPromptId()
    const queries: [string, object][] = [
      ["session.get", { sessionId }],
      ["prompt.list", { sessionId }],
      ["timeline.page", { sessionId }],
      ["sandbox.get", { sessionId }],
      ["changes.diff", { sessionId }],
      ["changes.summary", { sessionId }],
      ["changes.file", { sessionId, path: "README.md" }],
    ]
    const mutations: [string, object][] = [
      ["session.connect", { sessionId }],
      ["session.wake", { sessionId }],
      ["session.terminate", { sessionId }],
      ["session.rename", { sessionId, title: "Mine" }],
      ["prompt.send", { sessionId, promptId: newPromptId(), text: "Hi" }],
      ["prompt.stop", { promptId }],
      ["prompt.retry", { promptId, sessionId }],
    ]
    for (const [path, input] of queries) {
      expect(`${path}: ${await refusal("GET", path, input, secret)}`).toMatch(
        /: 404 session-not-found$/,
      )
    }
    for (const [path, input] of mutations) {
      expect(`${path}: ${await refusal("POST", path, input, secret)}`).toMatch(
        /: 404 (session|prompt)-not-found$/,
      )
    }
    const list = JSON.parse((await ask("GET", "session.list", {}, secret)).text)
    expect(list.result.data).toEqual({ items: [], nextCursor: null })
    // A prompt id belongs to whoever used it first, wherever that was.
    const other = await apiClient({ ...stack.line, apiKey: secret }).session.create.mutate({
      repoUrl: `file://${root}/absent`,
      prompt: "Hi",
    })
    const stolen = { sessionId: other.id, promptId, text: "Hi" }
    expect(await refusal("POST", "prompt.send", stolen, secret)).toBe("409 prompt-id-reused")
  })
})

describe("a request", () => {
  test("for the health of the parts is answered at /health too, each part with its own state", async () => {
    for (const path of ["/api/health", "/health"]) {
      const response = await fetch(stack.line.url + path)
      expect(response.status).toBe(200)
      const health = z.record(z.string(), z.unknown()).parse(await response.json())
      for (const part of ["database", "rooms", "provider", "blob", "kv"]) {
        expect(health[part], part).toMatchObject({ state: expect.any(String) })
      }
    }
  })

  test.for<[string, string, unknown, string]>([
    ["GET", "session.create", { repoUrl: "https://x/y", prompt: "Hi" }, "405 method-not-supported"],
    ["GET", "session.terminate", {}, "405 method-not-supported"],
    ["POST", "session.get", {}, "405 method-not-supported"],
    ["GET", "session.explode", {}, "404 not-found"],
    ["POST", "session.create", "{", "400 bad-request"],
    ["POST", "session.create", { repoUrl: "https://x/y", prompt: "Hi", x: 1 }, "400 input-invalid"],
    ["POST", "session.create", { repoUrl: 7, prompt: "Hi" }, "400 input-invalid"],
    ["POST", "session.create", [], "400 input-invalid"],
    ["POST", "session.create", "null", "400 input-invalid"],
    ["GET", "session.get", { sessionId: "ses_'; drop table" }, "400 input-invalid"],
    ["GET", "session.get", { sessionId: "ses_00000000000000000000" }, "404 session-not-found"],
    ["GET", "session.list", { limit: 0 }, "400 input-invalid"],
    ["GET", "session.list", { limit: 101 }, "400 input-invalid"],
    ["GET", "session.list", { limit: "5" }, "400 input-invalid"],
    ["GET", "session.list", { status: "busy" }, "400 input-invalid"],
    ["GET", "session.list", { cursor: "x" }, "400 cursor-invalid"],
    ["GET", "session.list", { cursor: "1_\u0000" }, "400 cursor-invalid"],
    [
      "POST",
      "prompt.send",
      { promptId: "a b", sessionId: "ses_00000000", text: "" },
      "400 input-invalid",
    ],
    ["POST", "prompt.stop", { promptId: "absent" }, "404 prompt-not-found"],
  ])("%s %s with %j is refused in words: %s", async ([method, path, input, answer]) => {
    expect(await refusal(method, path, input)).toBe(answer)
  })

  test("of many calls at once is answered call by call, and beyond the limit as a whole", async () => {
    const sessionId = session.id
    const many = await Promise.all(
      Array.from({ length: 120 }, () => stack.api.session.get.query({ sessionId })),
    )
    expect(many).toHaveLength(120)
    const path = Array(51).fill("viewer.me").join(",")
    expect(await refusal("GET", `${path}?batch=1`)).toBe("413 batch-too-large")
    const mixed = await ask("GET", "viewer.me,session.get?batch=1")
    expect(mixed.status).toBe(207)
    expect(JSON.parse(mixed.text)).toMatchObject([{ result: {} }, { error: {} }])
  })
})

describe("a list of sessions", () => {
  test("is paged, filtered and searched, whatever the titles are made of", async () => {
    const titles = ["日本語のタイトル", "עברית ‮ bidi", "💥 emoji", "100% of_it \\ done", "a\u0000b"]
    const made: string[] = []
    for (const title of titles) {
      const wish = { repoUrl: `file://${root}/absent`, prompt: "Hi", title }
      made.push((await stack.api.session.create.mutate(wish)).id)
    }
    const list = stack.api.session.list
    for (const [index, query] of ["のタイ", "עברית", "💥", "% OF_IT \\", "a\u2400b"].entries()) {
      const { items } = await list.query({ query })
      expect(items.map(({ id }) => id)).toEqual([made[index]])
    }
    const seen: string[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await list.query({ limit: 2, ...(cursor ? { cursor } : {}) })
      seen.push(...page.items.map(({ id }) => id))
      if (!page.nextCursor) break
      cursor = page.nextCursor
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.slice(0, made.length)).toEqual([...made].reverse())
    expect(seen.at(-1)).toBe(session.id)
    await expect
      .poll(async () => (await list.query({ status: "failed" })).items.map(({ id }) => id).sort(), {
        timeout: 60_000,
      })
      .toEqual([...made].sort())
    for (const sessionId of made) await stack.api.session.archive.mutate({ sessionId })
    expect((await list.query({})).items.map(({ id }) => id)).toEqual([session.id])
  })
})

describe("a timeline", () => {
  test("is read forward and back in pages of any size, each entry once, and every edge is an answer", async () => {
    const sessionId = session.id
    const page = stack.api.timeline.page
    const whole = await page.query({ sessionId, since: "0", limit: 2_000 })
    const forward: string[] = []
    for (let since = "0"; ; ) {
      const next = await page.query({ sessionId, since, limit: 1 })
      forward.push(...next.items.map(({ key }) => key))
      since = next.upTo
      if (!next.hasMore) break
    }
    expect(forward).toEqual(whole.items.map(({ key }) => key))
    const back: number[] = []
    for (let before: number | undefined; ; ) {
      const next = await page.query({ sessionId, limit: 3, ...(before ? { before } : {}) })
      back.unshift(...next.items.map(({ firstSeq }) => firstSeq))
      before = next.items[0]?.firstSeq
      if (!next.hasMore) break
    }
    expect(back).toEqual(whole.items.map(({ firstSeq }) => firstSeq).sort((a, b) => a - b))
    const nothing = { items: [], upTo: whole.upTo, hasMore: false }
    expect(await page.query({ sessionId, since: whole.upTo, limit: 5 })).toEqual(nothing)
    expect(await page.query({ sessionId, before: 1, limit: 5 })).toEqual(nothing)
    const [epoch] = whole.upTo.split(":")
    const beyond = { sessionId, since: `${epoch}:999999999999999`, limit: 5 }
    expect(await page.query(beyond)).toEqual(nothing)
    const far = await page.query({ sessionId, before: Number.MAX_SAFE_INTEGER, limit: 2_000 })
    expect(far.items).toHaveLength(whole.items.length)
    for (const wrong of [
      { limit: 0 },
      { limit: 2_001 },
      { since: "1" },
      { since: "-1:2" },
      { before: 0 },
      { before: 1.5 },
      { since: "0", before: 2 },
    ]) {
      expect(await refusal("GET", "timeline.page", { sessionId, ...wrong })).toBe(
        "400 input-invalid",
      )
    }
  })
})

describe("the same again", () => {
  test("a session created twice under one key is one; another request under it is a conflict", async () => {
    const wish = { repoUrl: `file://${root}/absent`, prompt: "Hi", idempotencyKey: "k 1/2" }
    const [first, second] = await Promise.all([
      stack.api.session.create.mutate(wish),
      apiClient(stack.line).session.create.mutate(wish),
    ])
    expect(second.id).toBe(first.id)
    const other = { ...wish, prompt: "Something else" }
    expect(await refusal("POST", "session.create", other)).toBe("409 idempotency-key-reused")
    await stack.api.session.terminate.mutate({ sessionId: first.id })
  })

  test("a prompt sent twice is one, another text or session under its id is a conflict, and a UUID is an id", async () => {
    const promptId = crypto.randomUUID()
    const text = scripted({ say: "Once." })
    const sends = await Promise.all([1, 2, 3].map(() => session.send(text, { promptId })))
    expect(sends).toEqual([promptId, promptId, promptId])
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded", attempt: 1 })
    expect(await session.send(text, { promptId })).toBe(promptId)
    expect((await session.prompt(promptId)).attempt).toBe(1)
    const again = { promptId, sessionId: session.id, mode: "queue" }
    expect(await refusal("POST", "prompt.send", { ...again, text: "Other" })).toBe(
      "409 prompt-id-reused",
    )
    const elsewhere = await SessionDriver.create(stack, { repoUrl: `file://${root}/absent` })
    const moved = { ...again, sessionId: elsewhere.id, text }
    expect(await refusal("POST", "prompt.send", moved)).toBe("409 prompt-id-reused")
    await elsewhere.terminate()
  })
})

test("each verb of a prompt takes its session too, and only its own", async () => {
  const sessionId = session.id
  const { prompt } = stack.api
  const running = await session.send(scripted(bash("sleep 60")))
  const [first, second, third] = [
    await session.send(scripted({ say: "first" })),
    await session.send(scripted({ say: "second" })),
    await session.send(scripted({ say: "third" })),
  ]
  const elsewhere = await SessionDriver.create(stack, { repoUrl: `file://${root}/absent` })
  for (const verb of ["withdraw", "promote", "edit", "retry", "stop"]) {
    const input = {
      promptId: first,
      sessionId: elsewhere.id,
      ...(verb === "edit" ? { text: "x" } : {}),
    }
    expect(`${verb}: ${await refusal("POST", `prompt.${verb}`, input)}`).toBe(
      `${verb}: 404 prompt-not-found`,
    )
  }
  expect(await refusal("POST", "prompt.stop", { promptId: first })).toBe("409 not-dispatched")
  expect(await refusal("POST", "prompt.withdraw", { promptId: running })).toBe(
    "409 already-dispatched",
  )

  await prompt.withdraw.mutate({ promptId: first, sessionId })
  await prompt.withdraw.mutate({ promptId: first })
  await prompt.promote.mutate({ promptId: third, sessionId })
  await prompt.edit.mutate({ promptId: second, sessionId, text: scripted({ say: "edited" }) })
  await prompt.retry.mutate({ promptId: second, sessionId })
  await prompt.stop.mutate({ promptId: running, sessionId })
  await prompt.stop.mutate({ promptId: running })
  expect(await session.ended(second)).toMatchObject({ state: "succeeded" })
  const states = (await session.prompts()).slice(-4).map(({ state }) => state)
  expect(states).toEqual(["stopped", "withdrawn", "succeeded", "succeeded"])
  const texts = (await session.entries()).flatMap((entry) =>
    entry.kind === "text" ? [entry.text] : [],
  )
  expect(texts.slice(-2)).toEqual(["third", "edited"])
  expect(await refusal("POST", "prompt.retry", { promptId: second })).toBe(
    "409 prompt-not-retryable",
  )
  await prompt.stop.mutate({ promptId: second, sessionId })
  await elsewhere.terminate()
})

test("a session that is ended while it boots leaves nothing, and its prompt is withdrawn", async () => {
  const early = await SessionDriver.create(stack, { repoUrl })
  await early.terminate()
  const late = await SessionDriver.create(stack, { repoUrl })
  await expect.poll(() => late.processes().length, { timeout: 60_000 }).toBeGreaterThan(0)
  await late.terminate()
  for (const ended of [early, late]) {
    expect(await ended.has("ended")).toMatchObject({ endedAt: expect.any(String) })
    expect(await ended.prompts()).toMatchObject([{ state: "withdrawn", attempt: 0 }])
    await expect.poll(() => ended.processes(), { timeout: 30_000 }).toEqual([])
    await expect.poll(() => existsSync(ended.directory), { timeout: 30_000 }).toBe(false)
  }
})

test("a session that lives is woken without effect, ends once, and then takes no more", async () => {
  const sessionId = session.id
  const { generation } = await session.get()
  expect(await session.wake()).toMatchObject({ generation, status: "idle" })
  await session.terminate()
  await session.terminate()
  const ended = await session.has("ended")
  expect(ended).toMatchObject({ statusReason: expect.stringMatching(/history stays/) })
  const promptId = newPromptId()
  expect(await refusal("POST", "prompt.send", { sessionId, promptId, text: "Hi" })).toBe(
    "409 session-ended",
  )
  expect(await refusal("POST", "session.wake", { sessionId })).toBe("409 session-ended")
  expect((await session.entries()).length).toBeGreaterThan(10)
  expect((await session.diff()).files).toEqual([])
  await expect.poll(() => session.processes(), { timeout: 20_000 }).toEqual([])
})

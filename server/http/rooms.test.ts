import { generateKeyPairSync } from "node:crypto"
import { afterAll, expect, test } from "vitest"
import { signCall } from "../auth/tokens.ts"
import { connectDatabase } from "../db.ts"
import type { SystemContext } from "../domain/context.ts"
import { testSystem } from "../testing/context.ts"
import { createContext, newSession } from "../testing/factories.ts"
import { freshSystem } from "../testing/system.ts"
import { serveRooms } from "./rooms.ts"

const PATH = "/api/internal/rooms"
const system = await freshSystem()
const { privateKey, publicKey } = generateKeyPairSync("ed25519")

const nowhere = connectDatabase("postgresql://u:p@127.0.0.1:9/db")
afterAll(() => nowhere.$disconnect())

type Options = { ctx?: SystemContext; path?: string; signed?: string; token?: string }

async function post(value: unknown, { ctx = system, path = PATH, signed, token }: Options = {}) {
  const body = typeof value === "string" ? value : JSON.stringify(value)
  const call = { audience: "server", path: PATH, body: signed ?? body }
  const authorization = `Bearer ${token ?? (await signCall(privateKey, call, ctx.now()))}`
  const url = `http://localhost${path}`
  const request = new Request(url, { method: "POST", headers: { authorization }, body })
  const response = await serveRooms(request, ctx, publicKey)
  return { status: response.status, headers: response.headers, json: await response.json() }
}

const ingest = (sessionId: string, fields: Record<string, unknown> = {}) => ({
  post: "ingest",
  sessionId,
  epoch: 1_790_000_000_000,
  generation: 1,
  from: 0,
  to: 1,
  items: [{ seq: 1, report: { type: "runner.link", generation: 1, state: "connected" } }],
  ...fields,
})

test("a signed piece of a log is taken, and a claim answered", async () => {
  const { id } = await newSession(await createContext(system))
  expect(await post(ingest(id))).toMatchObject({ status: 200, json: { ingestedSeq: 1 } })
  const claim = { post: "claim-next", sessionId: id, generation: 1 }
  expect(await post(claim)).toMatchObject({ status: 200, json: { claim: null } })
})

test("[E5] a stale room is answered 409 with what PostgreSQL knows", async () => {
  const { id } = await newSession(await createContext(system))
  await system.db.session.update({ where: { id }, data: { generation: 3 } })
  const error = { reason: "platform-stopped", message: "The platform was stopped." }
  await system.db.sandbox.updateMany({ where: { sessionId: id }, data: { error } })
  for (const stale of [ingest(id), { post: "claim-next", sessionId: id, generation: 1 }]) {
    expect(await post(stale)).toMatchObject({
      status: 409,
      json: {
        stale: true,
        generation: 3,
        epoch: 0,
        reason: { ...error, message: `${error.message} What came is kept, retry or go on.` },
      },
    })
  }
})

test("a post that is not signed, or signed for another body, path or by another key, is refused", async () => {
  const { id } = await newSession(await createContext(system))
  const stranger = generateKeyPairSync("ed25519").privateKey
  const body = JSON.stringify(ingest(id))
  const call = { audience: "server", path: PATH, body }
  const forged = await signCall(stranger, call, system.now())
  const rooms = await signCall(privateKey, { ...call, audience: "rooms" }, system.now())
  for (const options of [
    { token: "none" },
    { token: forged },
    { token: rooms },
    { signed: "{}" },
    { path: "/api/internal/tick" },
  ]) {
    expect(await post(body, options)).toMatchObject({ status: 401 })
  }
  expect(await system.db.session.findUnique({ where: { id } })).toMatchObject({ ingestedSeq: 0 })
})

test("a post that is none is refused and logged, one for no session is not found", async () => {
  expect(await post({ post: "explode" })).toMatchObject({ status: 400 })
  expect(await post("{")).toMatchObject({ status: 400 })
  expect(await post(ingest("ses_0000000000"))).toMatchObject({ status: 404 })
})

test("a post over 4 MB is refused", async () => {
  expect(await post("x".repeat(5 * 1024 * 1024))).toMatchObject({ status: 413 })
})

test("[D15] without PostgreSQL rooms are told to come back", async () => {
  const ctx = testSystem(nowhere)
  const answer = await post(ingest("ses_0000000000"), { ctx })
  expect(answer).toMatchObject({ status: 503, json: { error: { reason: "database-unreachable" } } })
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0)
})

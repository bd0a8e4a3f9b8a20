import { generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { afterEach, expect, test } from "vitest"
import { ROOMS_AUDIENCE } from "#protocol/token"
import { isCallSigned } from "../auth/tokens.ts"
import { ROOM_REFUSED, roomsClient } from "./client.ts"
import { ROOM_UNREACHABLE } from "./port.ts"

const keys = generateKeyPairSync("ed25519")
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown

/** A client of a server that answers as `handle` does. */
async function clientOf(handle: Handler) {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    await handle(request, response, Buffer.concat(chunks).toString())
  })
  servers.push(server)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return roomsClient({
    url: `http://127.0.0.1:${address.port}`,
    key: keys.privateKey,
    now: () => new Date(),
  })
}

const reasonOf = async (handle: Handler, withinMs = 5_000) => {
  const client = await clientOf(handle)
  const answer = await client.call("ses_12345678", { call: "pull" }, { withinMs })
  return answer.ok ? null : answer.error.reason
}

test("a call is signed for its path and body, and the room's answer is handed on", async () => {
  const seen: unknown[] = []
  const client = await clientOf(async (request, response, body) => {
    const token = request.headers.authorization?.replace("Bearer ", "") ?? ""
    const path = request.url ?? ""
    const now = new Date()
    const call = { audience: ROOMS_AUDIENCE, path, body }
    seen.push(request.method, path, JSON.parse(body))
    seen.push(await isCallSigned(keys.publicKey, token, call, now))
    seen.push(await isCallSigned(keys.publicKey, token, { ...call, body: `${body} ` }, now))
    response.end(JSON.stringify({ ok: true, value: { ended: null } }))
  })
  const answer = await client.call("ses_12345678", { call: "pull" }, { withinMs: 5_000 })
  expect(answer).toEqual({ ok: true, value: { ended: null } })
  expect(seen).toEqual(["POST", "/parties/session/ses_12345678", { call: "pull" }, true, false])
})

test("the bus has its own path", async () => {
  const paths: (string | undefined)[] = []
  const client = await clientOf((request, response) => {
    paths.push(request.url)
    response.end('{"ok":true}')
  })
  await client.callBus("team_12345678", { call: "revoke", subject: "usr" }, { withinMs: 5_000 })
  expect(paths).toEqual(["/parties/bus/team_12345678"])
})

test("a room's refusal is its own reason", async () => {
  const refusal = { ok: false, error: { reason: "stale-generation", message: "Too old." } }
  expect(await reasonOf((_, response) => response.end(JSON.stringify(refusal)))).toBe(
    "stale-generation",
  )
})

test("silence past the deadline, a closed port and a broken Worker mean unreachable", async () => {
  expect(await reasonOf(() => undefined, 50)).toBe(ROOM_UNREACHABLE)
  expect(await reasonOf((request) => request.socket.destroy())).toBe(ROOM_UNREACHABLE)
  expect(await reasonOf((_, response) => response.writeHead(503).end())).toBe(ROOM_UNREACHABLE)
})

test("an answer that is no room's means refused", async () => {
  expect(await reasonOf((_, response) => response.writeHead(401).end("no"))).toBe(ROOM_REFUSED)
  expect(await reasonOf((_, response) => response.end("<html>"))).toBe(ROOM_REFUSED)
  expect(await reasonOf((_, response) => response.end("{}"))).toBe(ROOM_REFUSED)
})

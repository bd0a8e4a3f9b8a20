import { once } from "node:events"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { SERVER_AUDIENCE } from "#protocol/token"
import { type Rooms, startRooms } from "../../dev/rooms.ts"
import { isCallSigned } from "../../server/auth/tokens.ts"
import { roomsVerifyKey, testKeys } from "./start-rooms.ts"

const keys = testKeys()
const ticks: { path: string; body: string; isSigned: boolean }[] = []
let status = 200

const server = createServer(async (request, response) => {
  const body = await buffer(request)
  const path = request.url ?? ""
  const token = request.headers.authorization?.replace("Bearer ", "") ?? ""
  const call = { audience: SERVER_AUDIENCE, path, body }
  const isSigned = await isCallSigned(roomsVerifyKey(keys), token, call, new Date())
  ticks.push({ path, body: body.toString(), isSigned })
  response.writeHead(status).end("{}")
})

let root: string
let rooms: Rooms

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "rooms-cron-"))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = address !== null && typeof address === "object" ? address.port : 0
  rooms = await startRooms({
    port: 0,
    persistDir: root,
    bindings: {
      WEB_URL: `http://127.0.0.1:${port}`,
      ROOMS_SIGNING_KEY: keys.rooms.seed,
      SERVER_VERIFY_KEY: keys.server.publicKey,
      AGENT_OPS_LOCAL: "1",
    },
  })
}, 60_000)

afterAll(async () => {
  await rooms?.close()
  server.close()
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
})

beforeEach(() => {
  ticks.length = 0
  status = 200
})

test("the cron of the rooms' Worker asks the server, signed, to run its due jobs and its sweep", async () => {
  await rooms.runCron()
  expect(ticks).toEqual([{ path: "/api/internal/tick", body: '{"sweep":true}', isSigned: true }])
})

test("a server that refuses a tick is asked again at the next one", async () => {
  status = 503
  await rooms.runCron()
  await rooms.runCron()
  expect(ticks).toHaveLength(2)
})

test("a deployed Worker does this every minute", () => {
  const file = new URL("../../party/wrangler.jsonc", import.meta.url)
  expect(JSON.parse(readFileSync(file, "utf8")).triggers).toEqual({ crons: ["* * * * *"] })
})

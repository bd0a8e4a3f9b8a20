import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { promptIdSchema } from "#protocol/ids"
import { TestRunner } from "./room-clients.ts"
import {
  callRoom,
  fence,
  newSessionId,
  type RunningRooms,
  serverSigner,
  sessionAudience,
  sessionPath,
  startRooms,
  testKeys,
} from "./start-rooms.ts"

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url))
const keys = testKeys()
const signer = serverSigner(keys)
const sessionId = newSessionId()

let root: string
let folder: string
let rooms: RunningRooms
let api: Server
let client: ChildProcess | undefined
let shown = ""

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "protocol-example-"))
  // Inside the repository, where the example finds its packages.
  await mkdir(join(REPOSITORY, ".out"), { recursive: true })
  folder = await mkdtemp(join(REPOSITORY, ".out/protocol-example-"))
  rooms = await startRooms({ keys, persistDir: root, webUrl: "http://127.0.0.1:9" })
  api = createServer(async (request, response) => {
    if (request.url !== "/api/trpc/session.connect") return response.writeHead(404).end()
    const url = rooms.url.replace("http", "ws") + sessionPath(sessionId)
    const ticket = await signer.ticket(sessionAudience(sessionId))
    const data = { url, ticket, expiresAt: new Date().toISOString(), protocol: "agent-ops.v1" }
    return response.end(JSON.stringify({ result: { data } }))
  })
  api.listen(0, "127.0.0.1")
  await once(api, "listening")
})

afterAll(async () => {
  client?.kill("SIGKILL")
  await rooms?.kill()
  api?.close()
  for (const path of [root, folder]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
})

test("the client of docs/protocol.md follows a session as it stands there", async () => {
  await callRoom(rooms, signer, sessionId, fence(1))
  const runner = new TestRunner(rooms, sessionId, await signer.runnerToken(sessionId))
  await runner.connect()
  runner.post({ report: { type: "boot.ready", generation: 1, baseCommit: "a", branch: "main" } })
  await startClient()
  await shows("prompt prompt:p1")

  const turnId = promptIdSchema.parse("p1")
  runner.post({ report: { type: "attempt.accepted", promptId: turnId, attempt: 1 } })
  const text = { key: "t", turnId, kind: "text", text: "The ", done: false } as const
  runner.post({ entry: text })
  await shows("text t The \n")
  runner.say({ type: "deltas", deltas: [["t", 4, "quick "]] })
  await shows("text t The \nquick ")
  runner.say({ type: "deltas", deltas: [["t", 10, "fox 🦊"]] })
  await shows("fox 🦊")

  await rooms.kill()
  const port = Number(new URL(rooms.url).port)
  rooms = await startRooms({ keys, persistDir: root, webUrl: "http://127.0.0.1:9", port })
  await runner.connect()
  runner.post({ entry: { ...text, text: "The quick fox 🦊 jumps", done: true } })
  await shows("text t The quick fox 🦊 jumps")
  runner.disconnect()
})

async function startClient(): Promise<void> {
  const document = readFileSync(join(REPOSITORY, "docs/protocol.md"), "utf8")
  const code = /```js\n(.*?)```/s.exec(document)?.[1] ?? ""
  await writeFile(join(folder, "watch.mjs"), code)
  const address = api.address()
  const port = typeof address === "object" ? address?.port : undefined
  const deadlines = { acceptMs: 60_000, startMs: 60_000, silenceMs: 60_000, turnMs: 60_000 }
  const claim = {
    promptId: "p1",
    attempt: 1,
    generation: 1,
    turnId: "p1",
    text: "Fix the test.",
    author: { id: "usr_00000001", name: "Ada" },
    attachments: [],
    model: "scripted/demo",
    agent: "build",
    deadlines,
  }
  await callRoom(rooms, signer, sessionId, { call: "run", claim })
  client = spawn(process.execPath, ["watch.mjs"], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: "test",
      AGENT_OPS_URL: `http://127.0.0.1:${port}`,
      AGENT_OPS_KEY: "any",
      SESSION_ID: sessionId,
    },
    stdio: ["ignore", "pipe", "inherit"],
  })
  client.stdout?.setEncoding("utf8").on("data", (text: string) => {
    shown += text
  })
}

const shows = (text: string) =>
  vi.waitFor(() => expect(shown).toContain(text), { timeout: 20_000, interval: 20 })

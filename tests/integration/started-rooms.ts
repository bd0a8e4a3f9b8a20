import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, expect } from "vitest"
import { promptIdSchema, type SessionId } from "#protocol/ids"
import type { Claim, OutboxItem } from "#protocol/work"
import { TestRunner, Viewer } from "./room-clients.ts"
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

export const keys = testKeys()
export const signer = serverSigner(keys)

/** Rooms in workerd with a stub of the server behind them, for all tests of a file; what a test opens ends with it. */
export function startedRooms() {
  const opened: { leave?: () => void; disconnect?: () => void }[] = []
  let root: string
  let server: StubServer
  let rooms: RunningRooms

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "rooms-"))
    server = await StubServer.start(keys)
    rooms = await startRooms({ keys, persistDir: root, webUrl: server.url })
  })

  afterEach(() => {
    for (const client of opened.splice(0)) {
      client.leave?.()
      client.disconnect?.()
    }
    server.isDown = false
  })

  afterAll(async () => {
    await rooms?.kill()
    await server?.close()
    await rm(root, { recursive: true, force: true, maxRetries: 5 })
  })

  function watch(sessionId: SessionId): Viewer {
    const viewer = new Viewer(rooms, signer, sessionId)
    opened.push(viewer)
    return viewer
  }

  /** A session whose first generation has a connected, ready runner. */
  async function runningSession(generation = 1, sessionId = newSessionId()) {
    await callRoom(rooms, signer, sessionId, fence(generation))
    return { sessionId, runner: await connectRunner(sessionId, generation) }
  }

  async function connectRunner(sessionId: SessionId, generation = 1): Promise<TestRunner> {
    const token = await signer.runnerToken(sessionId, generation)
    const runner = new TestRunner(rooms, sessionId, token, generation)
    opened.push(runner)
    await runner.connect()
    runner.post({ report: { type: "boot.ready", generation, baseCommit: "abc", branch: "main" } })
    return runner
  }

  /** The same with an attempt under way, in whose turn `p` text may stream. */
  async function workingSession() {
    const session = await runningSession()
    await callRoom(rooms, signer, session.sessionId, { call: "run", claim: claim("p") })
    await session.runner.told("run")
    session.runner.post({ report: { type: "attempt.accepted", ...attemptOf("p") } })
    return session
  }

  /** Kills the process and starts it again at the same address with what it had stored. */
  async function restart(): Promise<void> {
    await rooms.kill()
    const port = Number(new URL(rooms.url).port)
    rooms = await startRooms({ keys, persistDir: root, webUrl: server.url, port })
  }

  return {
    watch,
    runningSession,
    connectRunner,
    workingSession,
    restart,
    expectPostsAccepted(): void {
      expect(server.ingests.length).toBeGreaterThan(5)
      expect(server.refused).toBe(0)
    },
    get server() {
      return server
    },
    get rooms() {
      return rooms
    },
  }
}

export const turnId = promptIdSchema.parse("p")
export const attemptOf = (promptId: string) => ({
  promptId: promptIdSchema.parse(promptId),
  attempt: 1,
})
export const open = (key: string, content: string): OutboxItem => ({
  entry: { key, turnId, kind: "text", text: content, done: false },
})

export const text = (key: string, content: string, done: boolean): OutboxItem => ({
  entry: { key, turnId: null, kind: "text", text: content, done },
})
export function claim(promptId: string, generation = 1): Claim {
  const id = promptIdSchema.parse(promptId)
  return {
    promptId: id,
    attempt: 1,
    generation,
    turnId: id,
    text: "Fix the test.",
    author: { id: "usr_00000001", name: "Ada" },
    attachments: [],
    model: "scripted/demo",
    agent: "build",
    deadlines: { acceptMs: 5_000, startMs: 5_000, silenceMs: 5_000, turnMs: 60_000 },
  }
}

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { CLOSE } from "#protocol/close-code"
import { promptIdSchema, type SessionId } from "#protocol/ids"
import { MAX_VIEWER_MESSAGE_CHARS, MAX_VIEWER_UNSEEN_CHARS } from "#protocol/limits"
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

/** What the rooms' platform takes of one message. */
const PLATFORM_MESSAGE_BYTES = 32 * 1024 * 1024

const keys = testKeys()
const signer = serverSigner(keys)
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
  server.claims.length = 0
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
async function runningSession(generation = 1) {
  const sessionId = newSessionId()
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

const turnId = promptIdSchema.parse("p")
const attemptOf = (promptId: string) => ({ promptId: promptIdSchema.parse(promptId), attempt: 1 })
const open = (key: string, content: string): OutboxItem => ({
  entry: { key, turnId, kind: "text", text: content, done: false },
})

const text = (key: string, content: string, done: boolean): OutboxItem => ({
  entry: { key, turnId: null, kind: "text", text: content, done },
})
const keysOf = (viewer: Viewer) => [...viewer.log.order]

function claim(promptId: string, generation = 1): Claim {
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

describe("a stock partysocket", () => {
  test("is welcomed, gets what was there before it came, then what comes after", async () => {
    const { sessionId, runner } = await runningSession()
    runner.post(text("a", "before", true))
    await runner.acknowledged()
    const viewer = watch(sessionId)
    await viewer.sees("the replay", (log) => log.entries.has("a"))
    expect(viewer.socket.protocol).toBe("agent-ops.v1")
    expect(viewer.messages[0]).toMatchObject({ type: "welcome", protocol: 1 })
    expect(viewer.messages[1]).toMatchObject({ type: "replay", runner: "connected" })
    runner.post(text("b", "after", true))
    await viewer.sees("the live entry", (log) => log.entries.has("b"))
    expect(keysOf(viewer)).toEqual(["a", "b"])
    expect(viewer.closes).toEqual([])
  })

  test("comes back with a new ticket after its connection broke, and misses nothing", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    runner.post(text("a", "1", true))
    await viewer.sees("a", (log) => log.entries.has("a"))
    viewer.socket.reconnect()
    runner.post(text("b", "2", true), text("c", "3", true))
    await viewer.sees("b and c", (log) => log.entries.has("c"))
    expect(keysOf(viewer)).toEqual(["a", "b", "c"])
  })
})

describe("viewers", () => {
  test("in the same place receive the same bytes", async () => {
    const { sessionId, runner } = await workingSession()
    await runner.acknowledged()
    const [one, two] = [watch(sessionId), watch(sessionId)]
    await Promise.all([one.hears("replay"), two.hears("replay")])
    runner.post(open("a", ""))
    for (let i = 0; i < 200; i++) {
      runner.say({ type: "deltas", deltas: [["a", i * 3, "é😀"]] })
      if (i % 50 === 0) runner.post(text(`b${i}`, "x".repeat(i), true))
    }
    runner.post(text("z", "end", true))
    await Promise.all(
      [one, two].map((viewer) => viewer.sees("the end", (log) => log.entries.has("z"))),
    )
    const live = (viewer: Viewer) => {
      const first = viewer.frames.findIndex((frame) => frame.includes('"key":"a"'))
      return viewer.frames.slice(first).filter((frame) => frame.startsWith('{"type":"frame"'))
    }
    expect(live(one).length).toBeGreaterThan(1)
    expect(live(one)).toEqual(live(two))
    expect(one.text("a")).toBe("é😀".repeat(200))
    expect(two.text("a")).toBe(one.text("a"))
  })

  test("that join while text streams hold what the others hold", async () => {
    const { sessionId, runner } = await workingSession()
    const early = watch(sessionId)
    runner.post(open("a", "The "))
    runner.say({ type: "deltas", deltas: [["a", 4, "quick "]] })
    await early.sees("the first words", () => early.text("a") === "The quick ")
    const late = watch(sessionId)
    await late.sees("the first words", () => late.text("a") === "The quick ")
    runner.say({ type: "deltas", deltas: [["a", 10, "fox"]] })
    await Promise.all(
      [early, late].map((viewer) =>
        viewer.sees("the last word", () => viewer.text("a") === "The quick fox"),
      ),
    )
  })

  test("that are slow lag without holding anybody up, and are replayed when they can", async () => {
    const { sessionId, runner } = await runningSession()
    const fast = watch(sessionId)
    const slow = watch(sessionId)
    slow.isSlow = true
    await Promise.all([fast.hears("replay"), slow.hears("replay")])
    const size = 200_000
    const count = Math.ceil(MAX_VIEWER_UNSEEN_CHARS / size) * 2
    for (let i = 0; i < count; i++) runner.post(text(`k${i}`, "x".repeat(size), true))
    await fast.sees("everything", (log) => log.entries.size === count)
    await slow.hears("lag")
    expect(slow.log.entries.size).toBeLessThan(count)
    slow.isSlow = false
    slow.seen()
    await slow.sees("everything", (log) => log.entries.size === count)
    expect(keysOf(slow)).toEqual(keysOf(fast))
  })

  test("see who else is here", async () => {
    const { sessionId } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    viewer.say({ type: "presence", state: "here", typing: true })
    await viewer.until("itself typing", () =>
      viewer.messages.some(
        (message) => message.type === "presence" && message.people.some((person) => person.typing),
      ),
    )
  })
})

describe("[E2] a process that is killed", () => {
  test("in the middle of a stream has shown nothing that it had not stored", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    // What the server confirms is dropped here in time; this is about the room's own storage.
    server.isDown = true

    let next = 0
    const streaming = setInterval(() => {
      for (let i = 0; i < 5; i++) runner.post(text(`k${next++}`, `entry ${next}`, true))
    }, 2)
    try {
      for (let life = 1; life <= 3; life++) {
        const shown = viewer.log.entries.size
        await viewer.sees("the stream", (log) => log.entries.size > shown + 200)
        const before = new Map(viewer.log.entries)
        const { cursor } = viewer.log
        await restart()
        await runner.connect()
        await viewer.sees("the stream again", (log) => log.entries.size > before.size)

        const fresh = watch(sessionId)
        await fresh.sees("all of it", (log) => log.cursor.seq >= cursor.seq)
        expect(fresh.log.cursor.epoch).toBe(cursor.epoch)
        for (const [key, entry] of before) expect(fresh.log.entries.get(key)).toEqual(entry)
        fresh.leave()
      }
    } finally {
      clearInterval(streaming)
    }
    await runner.acknowledged()
    await viewer.sees("everything", (log) => log.entries.size === next)
    const expected = Array.from({ length: next }, (_, i) => `k${i}`)
    expect(keysOf(viewer)).toEqual(expected)
    const seqs = [...viewer.log.entries.values()].map((entry) => entry.firstSeq)
    expect(new Set(seqs).size).toBe(next)
  })

  test("[E1] takes what the runner sends again only once", async () => {
    const { sessionId, runner } = await runningSession()
    runner.post(text("a", "1", true), text("b", "2", true))
    await runner.acknowledged()
    await restart()
    runner.acked = 0
    await runner.connect()
    expect(runner.acked).toBe(3)
    runner.say({ type: "items", from: 1, items: runner.outbox })
    runner.post(text("c", "3", true))
    await runner.acknowledged()
    const viewer = watch(sessionId)
    await viewer.sees("c", (log) => log.entries.has("c"))
    const seqs = keysOf(viewer).map((key) => viewer.log.entries.get(key)?.seq)
    expect(keysOf(viewer)).toEqual(["a", "b", "c"])
    expect(seqs).toEqual([...seqs].sort((x, y) => Number(x) - Number(y)))
  })

  test("posts what the server had not confirmed when it lives again", async () => {
    server.isDown = true
    const { sessionId, runner } = await runningSession()
    runner.post(text("a", "1", true))
    await runner.acknowledged()
    await restart()
    server.isDown = false
    await connectRunner(sessionId)
    await vi.waitFor(
      () => {
        const mine = server.ingests.filter((ingest) => ingest.sessionId === sessionId)
        const entries = mine.flatMap((ingest) => ingest.items.filter((item) => "entry" in item))
        expect(entries).toHaveLength(1)
      },
      { timeout: 20_000 },
    )
  })

  async function restart(): Promise<void> {
    await rooms.kill()
    const port = Number(new URL(rooms.url).port)
    rooms = await startRooms({ keys, persistDir: root, webUrl: server.url, port })
  }
})

describe("a room with nothing to do", () => {
  test("[A4] sleeps with its sockets open and goes on where it was", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    runner.post(text("a", "before", true))
    await viewer.sees("a", (log) => log.entries.has("a"))
    // workerd puts an object without timers to sleep after ten seconds; pings are answered for it.
    for (let second = 0; second < 15; second += 5) {
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      runner.ping()
    }
    runner.post(text("b", "after", true))
    await viewer.sees("b", (log) => log.entries.has("b"))
    expect(viewer.closes).toEqual([])
    expect(runner.closes).toEqual([])
    expect(keysOf(viewer)).toEqual(["a", "b"])
    const starts = rooms
      .output()
      .split("\n")
      .filter((line) => line.includes("room.started"))
    const mine = starts.filter((line) => line.includes(sessionId)).map((line) => JSON.parse(line))
    expect(mine.map(({ sockets }) => sockets)).toEqual([0, 2])
  }, 60_000)
})

describe("work", () => {
  test("[D4] is handed to the runner, and its end reaches the server", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    const given = claim("p1")
    const { answer } = await callRoom(rooms, signer, sessionId, { call: "run", claim: given })
    expect(answer).toEqual({ ok: true })
    await runner.told("run")
    const attempt = attemptOf("p1")
    runner.post({ report: { type: "attempt.accepted", ...attempt } })
    runner.post({ report: { type: "attempt.running", ...attempt } })
    runner.post({ report: { type: "attempt.ended", ...attempt, state: "succeeded", error: null } })
    await viewer.sees("the end", (log) => {
      const entry = log.entries.get("prompt:p1")
      return entry?.kind === "prompt" && entry.state === "succeeded"
    })
    await vi.waitFor(() => {
      const ended = server.reports().filter((report) => report.type === "attempt.ended")
      expect(ended).toContainEqual(expect.objectContaining({ promptId: "p1", state: "succeeded" }))
    })
  })

  test("[D3] is claimed when the runner is ready for it", async () => {
    server.claims.push(claim("p2"))
    const { runner } = await runningSession()
    await runner.told("run")
  })

  test("whose runner falls silent is told as lost by the room's alarm", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await callRoom(rooms, signer, sessionId, { call: "run", claim: claim("p3") })
    await runner.told("run")
    runner.post({
      report: { type: "attempt.accepted", promptId: claim("p3").promptId, attempt: 1 },
    })
    await viewer.until("the loss", () =>
      viewer.messages.some((message) => message.type === "runner" && message.link === "lost"),
    )
    runner.say({ type: "deltas", deltas: [["none", 0, "x"]] })
    await viewer.until("the return", () =>
      viewer.messages.at(-1)?.type === "runner"
        ? JSON.stringify(viewer.messages.at(-1)).includes("connected")
        : viewer.messages.some(
            (message) => message.type === "runner" && message.link === "connected",
          ),
    )
  })

  test("[D9] of a fenced generation ends, and its runner is turned away", async () => {
    const { sessionId, runner } = await runningSession()
    await callRoom(rooms, signer, sessionId, { call: "run", claim: claim("p4") })
    await runner.told("run")
    const { answer } = await callRoom(rooms, signer, sessionId, fence(2))
    expect(answer).toEqual({
      ok: true,
      value: { ended: { promptId: "p4", attempt: 1, state: "interrupted" } },
    })
    expect((await callRoom(rooms, signer, sessionId, fence(2))).answer).toEqual(answer)
    await runner.until("the close", () => runner.closes.includes(4409))
  })

  test("asks the runner and answers the server", async () => {
    const { sessionId, runner } = await runningSession()
    const asked = callRoom(rooms, signer, sessionId, {
      call: "ask",
      ask: { name: "diff" },
      withinMs: 5_000,
    })
    await runner.told("ask")
    const question = runner.messages.find((message) => message.type === "ask")
    const id = question?.type === "ask" ? question.id : ""
    runner.say({ type: "answer", id, result: { ok: true, value: { files: [] } } })
    expect(await asked).toEqual({ status: 200, answer: { ok: true, value: { files: [] } } })
  })
})

describe("access", () => {
  test("[A2] that is revoked closes the sockets of that person at once", async () => {
    const { sessionId } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    const revoke = { call: "revoke", subject: "usr_00000001", grantId: null }
    expect((await callRoom(rooms, signer, sessionId, revoke)).answer).toEqual({
      ok: true,
      value: { closed: 1 },
    })
    await viewer.until("the close", () => viewer.closes.includes(4403))
  })

  test("is renewed by a fresh ticket of the same person, once", async () => {
    const { sessionId } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    const ticket = await signer.ticket(`session:${sessionId}`)
    viewer.say({ type: "renew", ticket })
    viewer.say({ type: "presence", state: "away", typing: false })
    await viewer.hears("presence", 2)
    expect(viewer.closes).toEqual([])
    viewer.say({ type: "renew", ticket })
    await viewer.until("the close", () => viewer.closes.includes(4401))
  })
})

describe("a message that nobody understands", () => {
  test("closes its own socket and no other", async () => {
    const { sessionId, runner } = await runningSession()
    const [good, bad, worse] = [watch(sessionId), watch(sessionId), watch(sessionId)]
    await Promise.all([good, bad, worse].map((viewer) => viewer.hears("replay")))
    bad.socket.send("nonsense")
    worse.socket.send(JSON.stringify({ type: "hello", since: `${"é".repeat(300)}` }))
    await bad.until("the close", () => bad.closes.includes(4400))
    await worse.until("the close", () => worse.closes.includes(4400))
    runner.post(text("a", "still here", true))
    await good.sees("a", (log) => log.entries.has("a"))
    expect(good.closes).toEqual([])
    expect(runner.closes).toEqual([])
  })

  test("of a runner does not stop the room", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    runner.sayText(`{"type":"items","from":1,"items":[${"[".repeat(100_000)}`)
    await runner.until("the close", () => runner.closes.includes(4400))
    await runner.connect()
    runner.post(text("a", "on we go", true))
    await viewer.sees("a", (log) => log.entries.has("a"))
    expect(viewer.closes).toEqual([])
  })

  test("that is too long closes its own socket, by the room or by the platform before it", async () => {
    const { sessionId, runner } = await runningSession()
    const [longest, long, huge] = [watch(sessionId), watch(sessionId), watch(sessionId)]
    await Promise.all([longest, long, huge].map((viewer) => viewer.hears("replay")))
    const presence = JSON.stringify({ type: "presence", state: "here", typing: true })
    longest.socket.send(presence.padEnd(MAX_VIEWER_MESSAGE_CHARS))
    long.socket.send(presence.padEnd(MAX_VIEWER_MESSAGE_CHARS + 1))
    huge.socket.send(presence.padEnd(PLATFORM_MESSAGE_BYTES + 1))
    await long.until("the close", () => long.closes.includes(CLOSE.badMessage))
    await huge.until("the close", () => huge.closes.includes(CLOSE.tooLarge))
    runner.post(text("a", "still here", true))
    await longest.sees("a", (log) => log.entries.has("a"))
    expect(longest.closes).toEqual([])
  })

  test("that comes in floods is stopped", async () => {
    const { sessionId } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    viewer.isSlow = true
    for (let i = 0; i < 3_000; i++) viewer.seen()
    await viewer.until("the close", () => viewer.closes.includes(4429))
  })
})

describe("an entry", () => {
  test("larger than the platform's rows is kept whole", async () => {
    const { sessionId, runner } = await runningSession()
    const huge = `a${"漢😀".repeat(350_000)}`
    runner.post(text("huge", huge, true))
    await runner.acknowledged()
    const viewer = watch(sessionId)
    await viewer.sees("all of it", () => viewer.text("huge") === huge)
    await vi.waitFor(() => {
      const entries = [...server.items.values()].flatMap((item) =>
        "entry" in item && item.entry.kind === "text" ? [item.entry] : [],
      )
      expect(entries.find((entry) => entry.key === "huge")?.text === huge).toBe(true)
    })
  })
})

test("the server accepted the signature of every post", () => {
  expect(server.ingests.length).toBeGreaterThan(10)
  expect(server.refused).toBe(0)
})

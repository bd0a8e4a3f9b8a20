import { describe, expect, test, vi } from "vitest"
import { CLOSE } from "#protocol/close-code"
import { MAX_VIEWER_MESSAGE_CHARS } from "#protocol/limits"
import { callRoom, fence, newSessionId } from "./start-rooms.ts"
import { attemptOf, claim, signer, startedRooms, text } from "./started-rooms.ts"

const shared = startedRooms()
const { runningSession, watch } = shared

/** What the rooms' platform takes of one message. */
const PLATFORM_MESSAGE_BYTES = 32 * 1024 * 1024

describe("work", () => {
  test("[D4] is handed to the runner, and its end reaches the server", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await viewer.hears("replay")
    const given = claim("p1")
    const { answer } = await callRoom(shared.rooms, signer, sessionId, {
      call: "run",
      claim: given,
    })
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
      const ended = shared.server.reports().filter((report) => report.type === "attempt.ended")
      expect(ended).toContainEqual(expect.objectContaining({ promptId: "p1", state: "succeeded" }))
    })
  })

  test("[D3] is claimed when the runner is ready for it", async () => {
    const sessionId = newSessionId()
    shared.server.claims.set(sessionId, claim("p2"))
    const { runner } = await runningSession(1, sessionId)
    await runner.told("run")
  })

  test("whose runner falls silent is told as lost by the room's alarm", async () => {
    const { sessionId, runner } = await runningSession()
    const viewer = watch(sessionId)
    await callRoom(shared.rooms, signer, sessionId, { call: "run", claim: claim("p3") })
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
    await callRoom(shared.rooms, signer, sessionId, { call: "run", claim: claim("p4") })
    await runner.told("run")
    const { answer } = await callRoom(shared.rooms, signer, sessionId, fence(2))
    expect(answer).toEqual({
      ok: true,
      value: { ended: { promptId: "p4", attempt: 1, state: "interrupted" } },
    })
    expect((await callRoom(shared.rooms, signer, sessionId, fence(2))).answer).toEqual(answer)
    await runner.until("the close", () => runner.closes.includes(4409))
  })

  test("asks the runner and answers the server", async () => {
    const { sessionId, runner } = await runningSession()
    const asked = callRoom(shared.rooms, signer, sessionId, {
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
    expect((await callRoom(shared.rooms, signer, sessionId, revoke)).answer).toEqual({
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
      const entries = [...shared.server.items.values()].flatMap((item) =>
        "entry" in item && item.entry.kind === "text" ? [item.entry] : [],
      )
      expect(entries.find((entry) => entry.key === "huge")?.text === huge).toBe(true)
    })
  })
})

test("the server accepted the signature of every post", () => {
  shared.expectPostsAccepted()
})

import { expect, test } from "vitest"
import { draftEntrySchema } from "../protocol/entry.ts"
import {
  accepted,
  bootReady,
  confirm,
  ended,
  fence,
  fencedRoom,
  RunnerHand,
  readyRoom,
  running,
  runningRoom,
  settle,
  storedPrompt,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, toolOf } from "./testing/samples.ts"
import type { World } from "./testing/world.ts"

const one = claimOf("one")
const two = claimOf("two")

const claimPosts = (room: World) => room.posts.filter(({ post }) => post === "claim-next")

function answerClaim(room: World, claim: typeof one | null): void {
  const index = room.posts.findIndex(({ post }) => post === "claim-next")
  expect(index).toBeGreaterThanOrEqual(0)
  room.posts.splice(index, 1)
  room.input({ type: "posted", post: "claim-next", result: { ok: true, claim } })
}

test("[D3][R20] the room asks for a claim once its runner is ready, one question at a time", () => {
  const room = fencedRoom()
  room.call({ call: "pull" })
  const runner = new RunnerHand(room).hello()
  expect(claimPosts(room)).toEqual([])

  runner.send(bootReady(1))
  room.call({ call: "pull" })
  room.call({ call: "pull" })
  expect(claimPosts(room)).toMatchObject([{ generation: 1 }])
})

test("[D3][R20] a pull that comes while the question is under way is asked again", () => {
  const { room } = readyRoom()
  room.call({ call: "pull" })
  room.call({ call: "pull" })
  answerClaim(room, null)
  expect(claimPosts(room).length).toBe(1)
  answerClaim(room, null)
  expect(claimPosts(room).length).toBe(0)
})

test("[D3][R20] a claim that arrives by call and by answer is one assignment", () => {
  const { room, runner } = readyRoom()
  room.call({ call: "pull" })
  room.call({ call: "run", claim: one })
  answerClaim(room, one)

  expect(runner.heardOf("run").length).toBe(1)
})

test("[D4][R21] the assignment is stored, with its entry, before run is sent", () => {
  const { room } = readyRoom()
  const effects = room.input({ type: "call", replyId: "r", call: { call: "run", claim: one } })
  const [store, ...rest] = effects

  expect(store).toMatchObject({ effect: "store", meta: { work: { phase: "sent", claim: one } } })
  expect(store).toMatchObject({
    entries: [{ key: "prompt:one" }],
    attempts: [{ promptId: "one", attempt: 1 }],
  })
  expect(rest.map(({ effect }) => effect)).toEqual(["to-runner", "reply", "tickAt"])
})

test("[D4][R21] a room that dies after its store knows that the runner may have the attempt", () => {
  const { room } = readyRoom()
  room.input({ type: "call", replyId: "r", call: { call: "run", claim: one } }, 1)

  expect(room.state.meta.work).toMatchObject({ phase: "sent" })
  expect(new RunnerHand(room).hello().heardOf("run")).toMatchObject([{ claim: one }])
})

test("[D5][R22] run is sent on every hello until it is accepted, then the state is asked for", () => {
  const { room } = readyRoom()
  room.call({ call: "run", claim: one })

  for (let i = 0; i < 2; i++) {
    expect(
      new RunnerHand(room)
        .hello()
        .heard()
        .map(({ type }) => type),
    ).toEqual(["welcome", "run"])
  }
  const runner = new RunnerHand(room).hello(1, "stream-two").send(accepted(one))
  runner.heard()
  expect(
    new RunnerHand(room)
      .hello()
      .heard()
      .map(({ type }) => type),
  ).toEqual(["welcome", "report"])
})

test("[D5][R22] a claim that came too early waits for a ready runner", () => {
  const room = fencedRoom()
  room.call({ call: "run", claim: one })
  const runner = new RunnerHand(room).hello()
  expect(runner.heardOf("run")).toEqual([])

  runner.send(bootReady(1))
  expect(runner.heardOf("run").length).toBe(1)
})

test("[D7][R23] claims of another generation, an ended attempt or an ended session are refused", () => {
  const { room, runner } = runningRoom(one)
  const refusal = (claim: typeof one) => {
    const answer = room.call({ call: "run", claim })
    return answer.ok ? null : answer.error.reason
  }

  expect(refusal(one)).toBeNull()
  expect(refusal(two)).toBe("busy")
  expect(refusal({ ...two, generation: 2 })).toBe("not-fenced")
  runner.send(ended(one))
  expect(refusal(one)).toBe("attempt-over")
  fence(room, 2)
  expect(refusal(two)).toBe("stale-generation")
  room.call({ call: "end", reason: { reason: "ended-by-person", message: "Ada ended it." } })
  expect(refusal({ ...two, generation: 2 })).toBe("ended")
})

test("[D8][R24] a runner that does not accept is asked, then counts as lost; run is not sent elsewhere", () => {
  const { room, runner } = readyRoom()
  const viewer = new ViewerHand(room).hello()
  room.call({ call: "run", claim: one })
  viewer.heard()
  runner.heard()

  room.sleep(5_000, room.now + 5_000)
  expect(runner.heard()).toMatchObject([{ type: "report", promptId: "one", attempt: 1 }])
  expect(viewer.heardOf("runner")).toEqual([])
  room.sleep(10_000, room.now + 10_000)
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "lost" }])
  expect(runner.heardOf("run")).toEqual([])
  expect(room.state.meta.work).toMatchObject({ phase: "sent" })
})

test("[D9][R25] the first terminal state wins", () => {
  const { room, runner } = runningRoom(one)
  runner.send(ended(one, "succeeded"), ended(one, "failed"))
  room.sleep(20)

  expect(storedPrompt(room, "one").state).toBe("succeeded")
  const ends = [...room.store.reports.values()].filter((body) => body.includes("attempt.ended"))
  expect(ends.length).toBe(1)
  expect(room.notes.at(-1)).toMatchObject({ event: "report-refused" })
})

test("[D9][R26] what the old runner says after the fence changes nothing", () => {
  const { room, runner } = runningRoom(one)
  fence(room, 2)
  const message = { type: "items" as const, from: runner.next, items: [{ report: ended(one) }] }
  room.input({ type: "runner-said", connection: runner.socket.id, message, chars: 10 })

  expect(storedPrompt(room, "one")).toMatchObject({
    state: "interrupted",
    error: { reason: "sandbox-lost" },
  })
})

/** Why attempts ended, as the timeline tells it. */
const storedErrors = (room: World) =>
  [...room.store.entries.values()].flatMap(({ seq, body }) => {
    const entry = draftEntrySchema.parse(JSON.parse(body ?? ""))
    return entry.kind === "error" ? [{ seq, ...entry }] : []
  })

test("[D9][R26][R58] why the room ended an attempt stands in the timeline, before its terminal entry", () => {
  const { room } = runningRoom(one)
  fence(room, 2)

  const { error, seq } = storedPrompt(room, "one")
  const [told, ...more] = storedErrors(room)
  expect(told).toMatchObject({ key: "error:one:1", turnId: "one", ...error })
  expect(told?.seq).toBeLessThan(seq)
  expect(more).toEqual([])
})

test.each([
  ["failed", ["model-refused"]],
  ["interrupted", ["model-refused"]],
  ["stopped", []],
] as const)("[R58] an attempt that the runner ended as %s leaves %j", (state, reasons) => {
  const { room, runner } = runningRoom(one)
  const error = { reason: "model-refused", message: "It refused; choose another." }
  runner.send({ type: "attempt.ended", promptId: one.promptId, attempt: 1, state, error })
  settle(room)
  expect(storedErrors(room).map(({ reason }) => reason)).toEqual(reasons)
})

test("[D10][R27] the next claim waits until PostgreSQL has confirmed the end", () => {
  const { room, runner } = runningRoom(one)
  runner.send(ended(one))
  room.sleep(300)
  expect(claimPosts(room)).toEqual([])

  confirm(room)
  expect(claimPosts(room).length).toBe(1)
})

test("[D10][R27] the terminal entry is the attempt's last item", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("t", "one") }, ended(one, "failed"))
  room.sleep(20)

  const place = room.store.place("prompt:one")
  expect(place?.seq).toBe(room.state.storedHead)
  expect(room.store.place("t")?.seq).toBeLessThan(place?.seq ?? 0)
})

test("[D12][R28] a stop before run was sent ends the attempt, with its entry", () => {
  const room = fencedRoom()
  room.call({ call: "run", claim: one })
  expect(room.call({ call: "stop", promptId: one.promptId, attempt: 1 }).ok).toBe(true)
  expect(storedPrompt(room, "one").state).toBe("stopped")

  const runner = new RunnerHand(room).hello().send(bootReady(1))
  expect(runner.heardOf("run")).toEqual([])
})

test("[D12][R28] a stop is passed on, and again after each hello, until the attempt has ended", () => {
  const { room, runner } = runningRoom(one)
  const stop = { call: "stop", promptId: one.promptId, attempt: 1 } as const
  room.call(stop)
  expect(runner.heardOf("stop").length).toBe(1)

  const newer = new RunnerHand(room).hello()
  newer.next = runner.next
  expect(newer.heardOf("stop").length).toBe(1)
  newer.send(ended(one, "stopped"))
  expect(room.call(stop).ok).toBe(true)
  expect(newer.heardOf("stop")).toEqual([])
})

test("[D12][R28] a stop that overtakes its claim shall be tried again", () => {
  const { room } = readyRoom()
  const answer = room.call({ call: "stop", promptId: one.promptId, attempt: 1 })

  expect(answer).toMatchObject({ ok: false, error: { reason: "unknown-attempt" } })
})

test("[D13][R31] an attempt is not given out again after a restart; a retry is another attempt", () => {
  const { room, runner } = runningRoom(one)
  runner.send(ended(one))
  settle(room)
  room.call({ call: "run", claim: two })
  fence(room, 2)
  room.crash()

  const again = room.call({ call: "run", claim: { ...one, generation: 2 } })
  expect(again).toMatchObject({ ok: false, error: { reason: "attempt-over" } })
  expect(room.call({ call: "run", claim: { ...one, generation: 2, attempt: 2 } }).ok).toBe(true)
})

test("[D15][R29] while PostgreSQL is down the turn goes on and nothing new is claimed", () => {
  const { room, runner } = runningRoom(one)
  const failPosts = () => {
    for (const { post } of room.posts.splice(0)) {
      room.input({
        type: "posted",
        post,
        result: { ok: false, reason: "server-late", stale: null },
      })
    }
  }
  for (let i = 0; i < 20; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one") })
    room.sleep(1_000)
    failPosts()
  }
  runner.send(ended(one))
  room.sleep(60_000)

  expect(storedPrompt(room, "one").state).toBe("succeeded")
  expect(room.posts).toMatchObject([{ post: "ingest" }])
})

test("[E6][R30] a prompt's entry stands where it was dispatched and follows its attempt", () => {
  const { room, runner } = readyRoom()
  const viewer = new ViewerHand(room).hello()
  room.call({ call: "run", claim: one })
  runner.send({ entry: toolOf("t", "one") }, accepted(one))
  room.sleep(20)
  runner.send(running(one))
  room.sleep(20)
  runner.send(ended(one))
  room.sleep(20)

  const versions = viewer.frames().flatMap(({ entries }) => entries ?? [])
  const prompts = versions.filter((entry) => entry.kind === "prompt")
  expect(prompts.map(({ state }) => state)).toEqual(["dispatched", "running", "succeeded"])
  expect(new Set(prompts.map(({ firstSeq }) => firstSeq)).size).toBe(1)
  expect(prompts[0]).toMatchObject({ text: one.text, author: one.author, turnId: one.turnId })
})

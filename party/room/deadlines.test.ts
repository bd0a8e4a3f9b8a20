import { expect, test } from "vitest"
import {
  confirm,
  ended,
  RunnerHand,
  readyRoom,
  runningRoom,
  settle,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, toolOf } from "./testing/samples.ts"
import { World } from "./testing/world.ts"

const one = claimOf("one")
const diff = { call: "ask", ask: { name: "diff" }, withinMs: 10_000 } as const

test("[R54] the answer of the runner is the answer of the call", () => {
  const { room, runner } = readyRoom()
  const replyId = room.callLater(diff)
  const [question] = runner.heardOf("ask")
  expect(question).toEqual({ type: "ask", id: replyId, ask: { name: "diff" } })

  runner.say({ type: "answer", id: replyId, result: { ok: true, value: { files: [] } } })
  runner.say({ type: "answer", id: replyId, result: { ok: true, value: "again" } })
  expect(room.replies.get(replyId)).toEqual({ ok: true, value: { files: [] } })
})

test("[R54] a question fails when nobody is there, nobody answers, or the runner goes", () => {
  const { room, runner } = readyRoom()
  const reasonOf = (replyId: string) => {
    const answer = room.replies.get(replyId)
    return answer && !answer.ok ? answer.error.reason : null
  }
  const late = room.callLater(diff)
  room.sleep(9_999)
  expect(room.replies.has(late)).toBe(false)
  room.sleep(1)
  expect(reasonOf(late)).toBe("no-answer")

  const lost = room.callLater(diff)
  room.disconnect(runner.socket)
  expect(reasonOf(lost)).toBe("runner-lost")
  expect(reasonOf(room.callLater(diff))).toBe("runner-absent")
})

test("[R55] counted usage reaches PostgreSQL as a report", () => {
  const { room } = runningRoom(one)
  const usage = {
    type: "model.usage",
    callId: "call_1",
    promptId: one.promptId,
    attempt: 1,
    model: "scripted/tour",
    inputTokens: 10,
    outputTokens: 5,
    cachedInputTokens: 0,
  } as const
  room.input({ type: "usage", usage })
  room.sleep(500)

  expect(room.posts).toMatchObject([{ items: [{ report: usage }] }])
})

test("[A4][R56] an idle room has no timer and no alarm, with or without viewers", () => {
  const room = new World()
  expect([room.tickAt, room.alarmAt]).toEqual([null, null])
  new ViewerHand(room).hello()
  room.sleep(1_000)
  expect(room.state.alarmAt).toBeNull()

  const { room: busy, runner } = runningRoom(one)
  busy.sleep(1_000)
  expect(busy.alarmAt).not.toBeNull()
  runner.send(ended(one))
  settle(busy)
  expect(busy.alarmAt).toBeNull()
  expect(busy.state.tickAt).toBeNull()
})

test("[A4][R56] with a runner connected the alarm comes a second after its need, and not for what is over by then", () => {
  const { room, runner } = readyRoom()
  settle(room)
  room.call({ call: "run", claim: one })
  room.sleep(600)
  confirm(room)
  runner.send(ended(one))
  room.sleep(100)
  confirm(room)
  room.sleep(1_000)
  expect(room.alarmAt).toBeNull()
})

test("[A4][R56] the alarm survives a crash and posts the backlog", () => {
  const { room, runner } = readyRoom()
  room.call({ call: "run", claim: one })
  runner.send({ entry: toolOf("t", "one") }, ended(one))
  room.crash()

  expect(room.posts).toMatchObject([{ post: "ingest", to: room.state.storedHead }])
  expect(room.alarmAt).not.toBeNull()
})

test("[D5][R56] a crash amid a turn leaves the turn to the runner", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("t", "one") })
  room.sleep(20)
  room.crash()
  const again = new RunnerHand(room).hello()
  again.next = runner.next
  expect(again.heard().map(({ type }) => type)).toEqual(["welcome", "report"])

  again.send({ entry: toolOf("t", "one", { state: "completed" }) }, ended(one))
  room.sleep(20)
  expect(room.state.meta.work).toMatchObject({ phase: "ended", outcome: { state: "succeeded" } })
})

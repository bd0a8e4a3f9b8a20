import { expect, test } from "vitest"
import { MAX_VIEWER_UNSEEN_CHARS } from "../protocol/limits.ts"
import { applyFrame, emptyLog } from "../protocol/session-log.ts"
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
import type { World } from "./testing/world.ts"

const one = claimOf("one")

/** Every post that is under way fails; afterwards its next try is. */
function fail(room: World, reason = "database-unreachable"): void {
  for (const { post } of room.posts.splice(0)) {
    room.input({ type: "posted", post, result: { ok: false, reason, stale: null } })
  }
}

/** A running room whose first batch failed, and when. */
function outage() {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(500)
  viewer.heard()
  fail(room)
  const startedAt = new Date(room.now).toISOString()
  return { room, runner, viewer, told: { startedAt, reason: "database-unreachable" } }
}

test("[D15][R49] viewers hear once that the history is not being stored, since when and why, and once that it is over", () => {
  const { room, viewer, told } = outage()
  expect(viewer.heard()).toEqual([{ type: "outage", outage: told }])
  for (let i = 0; i < 5; i++) {
    room.sleep(15_000, room.now + 15_000)
    fail(room, "server-unreachable")
  }
  expect(viewer.heardOf("outage")).toEqual([])

  room.sleep(15_000, room.now + 15_000)
  confirm(room)
  expect(viewer.heardOf("outage")).toEqual([{ type: "outage", outage: null }])
  settle(room)
  expect(viewer.heardOf("outage")).toEqual([])
})

test("[D15][R49] a viewer that comes meanwhile is told with its replay, one that comes later is not", () => {
  const { room, told } = outage()
  expect(new ViewerHand(room).hello().heardOf("replay")).toMatchObject([{ outage: told }])

  room.sleep(15_000, room.now + 15_000)
  confirm(room)
  expect(new ViewerHand(room).hello().heardOf("replay")).toMatchObject([{ outage: null }])
})

test("[D15][R49] a viewer that lags when it begins or ends is told when it goes on", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  const half = "x".repeat(MAX_VIEWER_UNSEEN_CHARS / 2)
  for (const key of ["a", "b", "c"]) {
    runner.send({ entry: toolOf(key, "one", { output: half }) })
    room.sleep(20)
  }
  const received = viewer.socket.toClient.reduce((sum, text) => sum + text.length, 0)
  expect(viewer.heard().at(-1)).toEqual({ type: "lag" })
  room.sleep(500)
  fail(room)
  expect(viewer.heard()).toEqual([])

  viewer.say({ type: "seen", received })
  expect(viewer.heardOf("outage")).toMatchObject([{ outage: { reason: "database-unreachable" } }])
})

test("[D15][R49] a claim that fails is told too, until it is answered or not wanted any more", () => {
  const { room, runner } = readyRoom()
  const viewer = new ViewerHand(room).hello()
  room.call({ call: "pull" })
  viewer.heard()
  fail(room)
  expect(viewer.heardOf("outage")).toMatchObject([{ outage: { reason: "database-unreachable" } }])
  room.sleep(500)
  confirm(room)
  expect(viewer.heardOf("outage")).toEqual([{ type: "outage", outage: null }])

  room.call({ call: "pull" })
  fail(room)
  viewer.heard()
  room.disconnect(runner.socket)
  expect(viewer.heardOf("outage")).toEqual([{ type: "outage", outage: null }])
  settle(room)
  new RunnerHand(room).hello()
  expect(viewer.heardOf("outage")).toEqual([])
})

test("[D15][R49] an answer that tells of a newer generation is no outage", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  runner.send(ended(one))
  room.posts.splice(0)
  const stale = { generation: 2, epoch: room.state.meta.log.epoch, reason: null }
  room.input({ type: "posted", post: "ingest", result: { ok: false, reason: "stale", stale } })

  expect(viewer.heardOf("outage")).toEqual([])
})

test("[D15][R49] the news takes nothing from the log, and no timer", () => {
  const log = { ...emptyLog(), cursor: { epoch: 7, seq: 9 } }
  const news = {
    type: "outage",
    outage: { startedAt: "2026-11-22T12:00:00.000Z", reason: "x" },
  } as const
  expect(applyFrame(log, news)).toEqual(log)

  const { room, runner } = outage()
  const head = room.state.storedHead
  room.sleep(15_000, room.now + 15_000)
  confirm(room)
  expect(room.state.storedHead).toBe(head)
  runner.send(ended(one))
  settle(room)
  expect([room.alarmAt, room.state.tickAt]).toEqual([null, null])
})

import { expect, test } from "vitest"
import { CLOSE } from "../protocol/close-code.ts"
import { TAIL_SEQS } from "./ingest.ts"
import {
  accepted,
  confirm,
  ended,
  fence,
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

const fail = (room: World) => {
  for (const { post } of room.posts.splice(0)) {
    room.input({ type: "posted", post, result: { ok: false, reason: "server-late", stale: null } })
  }
}

test("[E5][R32] one batch is under way, and the next starts where PostgreSQL stands", () => {
  const { room, runner } = runningRoom(one)
  const from = room.state.storedHead
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(500)
  runner.send({ entry: toolOf("b", "one") })
  room.sleep(1_000)
  expect(room.posts).toMatchObject([{ from, to: from + 1, items: [{ seq: from + 1 }] }])

  confirm(room)
  expect(room.posts).toMatchObject([{ from: from + 1, to: from + 2 }])
})

test("[E5][R32] while text streams a batch leaves every 500 ms, an end leaves at once", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(499)
  expect(room.posts).toEqual([])
  room.sleep(1)
  expect(room.posts.length).toBe(1)

  confirm(room)
  room.sleep(50)
  runner.send(ended(one))
  expect(room.posts).toMatchObject([{ post: "ingest", to: room.state.storedHead }])
})

test("[E5][R32] a turn's beginning leaves 250 ms after its dispatch, while the model is being asked", () => {
  const { room, runner } = readyRoom()
  room.call({ call: "run", claim: one })
  room.sleep(100)
  runner.send(accepted(one), running(one))
  room.sleep(149)
  expect(room.posts).toEqual([])
  room.sleep(1)
  expect(room.posts).toMatchObject([{ post: "ingest", to: room.state.storedHead }])
})

test("[E5][R32] a batch carries the newest version of each key and the reports, in order", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one", { output: "1" }) })
  room.sleep(20)
  runner.send({ entry: toolOf("b", "one") }, ended(one))
  room.sleep(20)
  fail(room)
  room.sleep(500)

  const [post] = room.posts
  const items = post?.post === "ingest" ? post.items : []
  const seqs = items.map(({ seq }) => seq)
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
  const keys = items.map((item) => ("entry" in item ? item.entry.key : item.report.type))
  expect(keys).toEqual(["a", "b", "attempt.ended", "prompt:one"])
})

test("[D15][R29] a failed batch is sent again after 0.5, 1, 2, 4, 8 and then every 15 seconds", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(500)

  for (const seconds of [0.5, 1, 2, 4, 8, 15, 15]) {
    fail(room)
    room.sleep(seconds * 1_000 - 1, room.now + 20_000)
    expect(room.posts).toEqual([])
    room.sleep(1)
    expect(room.posts.length).toBe(1)
  }
})

test("[D15][R29] an answer that confirms nothing counts as a failure", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(500)
  const { ingestedSeq } = room.state.meta.log
  room.posts.length = 0
  room.input({ type: "posted", post: "ingest", result: { ok: true, ingestedSeq } })

  expect(room.posts).toEqual([])
  room.sleep(500)
  expect(room.posts.length).toBe(1)
})

test("[E2][R33] confirmed bodies older than the tail go, keys and places stay", () => {
  const { room, runner } = runningRoom(one)
  for (let i = 0; i < TAIL_SEQS + 100; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { state: "completed" }) })
  }
  room.sleep(20)
  expect(room.store.body("t-0")).not.toBeNull()
  settle(room)

  const { head, tail } = room.state.meta.log
  expect(tail).toBe(head - TAIL_SEQS)
  expect(room.store.body("t-0")).toBeNull()
  expect(room.store.place("t-0")).not.toBeNull()
  expect([...room.store.entriesAfter(tail)].length).toBe(TAIL_SEQS)
  expect(room.store.reports.size).toBe(0)
})

test("[E2][R33] what PostgreSQL does not have is never dropped", () => {
  const { room, runner } = runningRoom(one)
  for (let i = 0; i < TAIL_SEQS + 500; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { state: "completed" }) })
  }
  for (let i = 0; i < 20; i++) {
    fail(room)
    room.sleep(20_000)
  }

  expect(room.state.meta.log.tail).toBe(0)
  expect(room.store.body("t-0")).not.toBeNull()
})

test("[E5][R34] a stale answer fences the room to the newer generation, with what became of the older one", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(500)
  room.posts.length = 0
  const reason = { reason: "platform-stopped", message: "The platform was stopped." }
  const stale = { generation: 3, epoch: room.state.meta.log.epoch, reason }
  room.input({ type: "posted", post: "ingest", result: { ok: false, reason: "stale", stale } })

  expect(runner.socket.closed?.code).toBe(CLOSE.superseded)
  expect(storedPrompt(room, "one")).toMatchObject({ state: "interrupted", error: reason })
  expect(room.posts).toMatchObject([{ post: "ingest", generation: 3 }])
})

test("[E3][R35] a wiped room goes on after what PostgreSQL holds, and old cursors are sent there", () => {
  const { room } = runningRoom(one)
  settle(room)
  const { epoch, head } = room.state.meta.log
  room.wipe()
  const change = { version: 7, status: "waking" as const, reason: "Starting again." }
  room.call({ call: "status", changes: [change] })
  const early = new ViewerHand(room).hello()
  room.sleep(5)
  fence(room, 2, `${epoch}:${head}`)

  expect(early.socket.closed).not.toBeNull()
  expect(room.state.meta.log).toMatchObject({ base: { epoch, seq: head }, ingestedSeq: head })
  expect(room.state.meta.log.epoch).toBeGreaterThan(epoch)
  expect(room.store.place("status:7")).toEqual(expect.objectContaining({ seq: head + 1 }))
  expect(new ViewerHand(room).hello(`${epoch}:${head}`).frames()).toMatchObject([
    { from: head, to: room.state.storedHead },
  ])
  const older = new ViewerHand(room).hello(`${epoch}:${head - 1}`)
  expect(older.heardOf("resync")).toEqual([{ type: "resync", ingested: `${epoch}:${head}` }])
})

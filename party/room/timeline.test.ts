import { expect, test } from "vitest"
import type { Entry } from "../protocol/entry.ts"
import { ended, fence, RunnerHand, runningRoom, ViewerHand } from "./testing/hands.ts"
import { claimOf, textOf, toolOf } from "./testing/samples.ts"
import type { World } from "./testing/world.ts"

function scene() {
  const { room, runner } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  room.sleep(100)
  viewer.heard()
  return { room, runner, viewer }
}

const stored = (room: World, key: string): Entry => JSON.parse(room.store.body(key) ?? "null")

test("[E7][R5] a checkpoint of what viewers were sent goes to them without its text", () => {
  const { room, runner, viewer } = scene()
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  runner.stream(["t", 5, " world"])
  room.sleep(20)
  viewer.heard()

  runner.send({ entry: textOf("t", "one", "Hello world") })
  room.sleep(20)

  const { seq } = stored(room, "t")
  expect(viewer.frames()).toEqual([
    { type: "frame", from: seq - 1, to: seq, grown: [["t", seq, 11]] },
  ])
  expect(stored(room, "t")).toMatchObject({ text: "Hello world", done: false })
})

test("[E7][R5] a checkpoint that is ahead of the deltas brings what is missing as a delta", () => {
  const { room, runner, viewer } = scene()
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  viewer.heard()

  runner.send({ entry: textOf("t", "one", "Hello world") })
  room.sleep(20)

  const { seq } = stored(room, "t")
  expect(viewer.frames()).toMatchObject([{ grown: [["t", seq, 5]], deltas: [["t", 5, " world"]] }])
})

test("[E7][R5] an agent that rewrites an open text is shown whole", () => {
  const { room, runner, viewer } = scene()
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  viewer.heard()

  runner.send({ entry: textOf("t", "one", "Goodbye, all") })
  room.sleep(20)

  expect(viewer.frames()).toMatchObject([{ entries: [{ key: "t", text: "Goodbye, all" }] }])
})

test("[E7][I6][R6] a checkpoint that is sent again takes nothing back", () => {
  const { room, runner, viewer } = scene()
  runner.send({ entry: textOf("t", "one", "Hello") })
  runner.stream(["t", 5, " world"])
  room.sleep(20)
  viewer.heard()

  runner.send({ entry: textOf("t", "one", "Hel") })
  room.sleep(20)

  expect(stored(room, "t")).toMatchObject({ text: "Hello world" })
  expect(viewer.frames()).toMatchObject([{ grown: [["t", expect.any(Number), 11]] }])
})

test("[E8][I6][R6] an outbox that is sent again, then a resync of all parts, leave every text at its longest", () => {
  const { room, runner } = scene()
  const outbox = [textOf("t", "one", "He"), textOf("t", "one", "Hello")].map((entry) => ({ entry }))
  runner.send(...outbox)
  runner.stream(["t", 5, " world"])
  room.sleep(20)

  const again = new RunnerHand(room).hello(1, "stream-two").send(...outbox)
  again.send({ entry: textOf("t", "one", "Hello world, and") })
  room.sleep(20)
  expect(stored(room, "t")).toMatchObject({ text: "Hello world, and", done: false })
})

test("[E7][I6][R6] a finished text is the agent's own, and an older checkpoint does not open it again", () => {
  const { room, runner } = scene()
  runner.send({ entry: textOf("t", "one", "Hello  ") })
  runner.stream(["t", 7, " "])
  runner.send({ entry: textOf("t", "one", "Hello", { done: true }) })
  room.sleep(20)
  runner.send({ entry: textOf("t", "one", "Hell") })
  room.sleep(20)

  expect(stored(room, "t")).toMatchObject({ text: "Hello", done: true })
})

test("[E7][R7] a missing piece is asked for once, and the checkpoint heals it", () => {
  const { room, runner, viewer } = scene()
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  runner.heard()

  runner.stream(["t", 9, "ld"])
  runner.stream(["t", 11, "!"])
  expect(runner.heardOf("resend")).toEqual([{ type: "resend", keys: ["t"] }])
  runner.send({ entry: textOf("t", "one", "Hello world!") })
  room.sleep(20)

  const shown = viewer.frames().flatMap(({ deltas }) => deltas ?? [])
  expect(shown).toEqual([["t", 5, " world!"]])
})

test("[D10][R10] what comes late, for a turn that has ended, is stored closed", () => {
  const { room, runner } = scene()
  runner.send(ended(claimOf("one")))
  runner.send({ entry: textOf("t", "one", "too late") }, { entry: toolOf("u", "one") })
  room.sleep(20)

  expect(stored(room, "t")).toMatchObject({ text: "too late", done: true })
  expect(stored(room, "u")).toMatchObject({ state: "error" })
})

test("[R11] a runner cannot write a prompt, a status, or under their keys", () => {
  const { room, runner } = scene()
  const status = {
    key: "status:9",
    turnId: null,
    kind: "status",
    status: "ended",
    reason: "",
  } as const
  runner.send(
    { entry: status },
    { entry: textOf("prompt:one", "one", "no") },
    { entry: toolOf("t", "one") },
  )
  room.sleep(20)

  expect(room.store.place("status:9")).toBeNull()
  expect(stored(room, "prompt:one")).toMatchObject({ kind: "prompt", state: "running" })
  expect(runner.heardOf("ack").at(-1)).toEqual({ type: "ack", acked: runner.next - 1 })
})

test("[D10][R27] a fence closes what is open as far as it came, then writes the end", () => {
  const { room, runner } = scene()
  runner.send(
    { entry: textOf("t", "one", "Hel") },
    { entry: toolOf("u", "one", { output: "half" }) },
  )
  runner.stream(["t", 3, "lo"])
  fence(room, 2)

  expect(stored(room, "t")).toMatchObject({ text: "Hello", done: true })
  expect(stored(room, "u")).toMatchObject({ state: "error", output: "half" })
  const last = room.store.history.get(room.state.storedHead)
  expect(JSON.parse(last?.body ?? "")).toMatchObject({ key: "prompt:one", state: "interrupted" })
})

test("[D10][R6][R27] a checkpoint that is sent again after its turn has ended leaves the terminal entry the last", () => {
  const { room, runner } = scene()
  runner.send({ entry: textOf("t", "one", "Hello wor") })
  runner.send(ended(claimOf("one"), "interrupted"))
  runner.send({ entry: textOf("t", "one", "Hello wor") })
  room.sleep(20)

  expect(stored(room, "t")).toMatchObject({ text: "Hello wor", done: true })
  expect(stored(room, "t").seq).toBeLessThan(stored(room, "prompt:one").seq)
})

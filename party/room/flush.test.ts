import { expect, test } from "vitest"
import { MAX_FRAME_CHARS } from "../protocol/limits.ts"
import { runningRoom, ViewerHand } from "./testing/hands.ts"
import { claimOf, textOf, toolOf } from "./testing/samples.ts"

test("[E2][R1] a flush stores, then shows and acknowledges, in one step", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  new ViewerHand(room).hello()
  room.sleep(1_000)

  const message = {
    type: "items" as const,
    from: runner.next,
    items: [{ entry: toolOf("t", "one") }],
  }
  const connection = runner.socket.id
  const effects = room.input({ type: "runner-said", connection, message, chars: 100 })

  const kinds = effects.map(({ effect }) => effect)
  expect(kinds.slice(0, 3)).toEqual(["store", "to-viewers", "to-runner"])
})

test("[E2][R2] after a pause the first item is flushed at once, the next ones together", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  room.sleep(1_000)
  viewer.heard()

  runner.send({ entry: toolOf("a", "one") })
  runner.send({ entry: toolOf("b", "one", { output: "1" }) })
  runner.send({ entry: toolOf("b", "one", { output: "2" }) })
  expect(viewer.frames().map(({ entries }) => entries?.map(({ key }) => key))).toEqual([["a"]])
  room.sleep(16)

  const [frame, ...more] = viewer.frames()
  expect(frame?.entries).toMatchObject([{ key: "b", output: "2" }])
  expect(more).toEqual([])
})

test("[E5][R3] a key keeps its first number and takes a new one with each version", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  for (const output of ["1", "2", "3"]) {
    runner.send({ entry: toolOf("t", "one", { output }) })
    room.sleep(20)
  }

  const versions = [...room.store.history.values()].filter(({ key }) => key === "t")
  const numbers = versions.map(({ body }) => JSON.parse(body))
  expect(new Set(numbers.map(({ firstSeq }) => firstSeq)).size).toBe(1)
  expect(numbers.map(({ seq }) => seq)).toEqual(
    [...numbers.map(({ seq }) => seq)].sort((a, b) => a - b),
  )
  expect(numbers[0]?.seq).toBe(numbers[0]?.firstSeq)
})

test("[E7][R4] pieces of a text travel as one delta and are not stored", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  runner.send({ entry: textOf("t", "one", "") })
  room.sleep(20)
  viewer.heard()
  const stored = room.store.history.size

  runner.stream(["t", 0, "one "])
  runner.stream(["t", 4, "two "], ["t", 6, "o three"])
  room.sleep(20)

  const deltas = viewer.frames().flatMap((frame) => frame.deltas ?? [])
  expect(deltas).toEqual([["t", 0, "one two three"]])
  expect(room.store.history.size).toBe(stored)
})

test("[E7][R8] a flush is cut into frames that join without a gap", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  room.sleep(1_000)
  viewer.heard()

  const output = "x".repeat(100_000)
  runner.send(
    ...["a", "b", "c", "d", "e", "f"].map((key) => ({ entry: toolOf(key, "one", { output }) })),
  )
  room.sleep(20)

  const frames = viewer.frames()
  expect(frames.length).toBeGreaterThan(2)
  for (const [index, frame] of frames.entries()) {
    expect(JSON.stringify(frame).length).toBeLessThan(MAX_FRAME_CHARS + 200)
    if (index > 0) expect(frame.from).toBe(frames[index - 1]?.to)
  }
  expect(
    frames
      .flatMap(({ entries }) => entries ?? [])
      .map(({ key }) => key)
      .join(""),
  ).toBe("abcdef")
})

test("[E7][R8] more than a megabyte does not wait for the interval", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const output = "x".repeat(600_000)
  runner.send({ entry: toolOf("a", "one", { output }) })
  runner.send({ entry: toolOf("b", "one", { output }) })
  expect(room.store.place("b")).toBeNull()
  runner.send({ entry: toolOf("c", "one", { output }) })

  expect(room.store.place("c")).not.toBeNull()
})

test("[E9][R9] an entry's time is the room's", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  room.sleep(5_000)
  runner.send({ entry: toolOf("t", "one") })

  expect(JSON.parse(room.store.body("t") ?? "{}").at).toBe(new Date(room.now).toISOString())
})

test("[R57] an item in a log of many entries costs no more reads than in an empty one", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const readsOfOneMore = (key: string) => {
    room.sleep(1_000)
    room.posts.length = 0
    room.store.reads = 0
    runner.send({ entry: toolOf(key, "one") })
    return room.store.reads
  }

  const first = readsOfOneMore("first")
  for (let i = 0; i < 3_000; i++)
    runner.send({ entry: toolOf(`many-${i}`, "one", { state: "completed" }) })

  expect(readsOfOneMore("last")).toBeLessThanOrEqual(first)
})

import { expect, test } from "vitest"
import { CLOSE } from "../protocol/close-code.ts"
import { LEASE_SECONDS, MAX_VIEWER_UNSEEN_CHARS } from "../protocol/limits.ts"
import { TAIL_SEQS } from "./ingest.ts"
import { readyRoom, runningRoom, settle, ViewerHand } from "./testing/hands.ts"
import { claimOf, textOf, ticketOf, toolOf } from "./testing/samples.ts"
import { World } from "./testing/world.ts"

const one = claimOf("one")
const keysOf = (viewer: ViewerHand) =>
  viewer.frames().flatMap(({ entries }) => (entries ?? []).map(({ key }) => key))
const cursorNow = (room: World) => `${room.state.meta.log.epoch}:${room.state.storedHead}`

test("[A1][R40] a ticket is stored before its viewer is welcomed, and opens one socket only", () => {
  const room = new World()
  const claims = ticketOf(room)
  const input = { type: "opened", role: "viewer", connection: "v", claims } as const
  const effects = room.input(input, 0)
  const kinds = effects.map(({ effect }) => effect)
  expect(kinds.indexOf("store")).toBeLessThan(kinds.indexOf("to-viewers"))

  expect(new ViewerHand(room, claims).socket.closed).toBeNull()
  room.crash()
  expect(new ViewerHand(room, claims).socket.closed?.code).toBe(CLOSE.unauthorized)
})

test("[E3][R41] hello is answered by all that was missed, then live frames join without a gap", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  const viewer = new ViewerHand(room)
  runner.send({ entry: toolOf("b", "one") })
  viewer.hello()
  runner.send({ entry: toolOf("c", "one") })
  room.sleep(20)

  const heard = viewer.heard()
  expect(heard.slice(0, 2).map(({ type }) => type)).toEqual(["welcome", "replay"])
  const frames = heard.filter((message) => message.type === "frame")
  expect(frames[0]?.from).toBe(0)
  for (const [index, { from }] of frames.entries()) {
    if (index > 0) expect(from).toBe(frames[index - 1]?.to)
  }
  expect(frames.flatMap(({ entries }) => entries ?? []).map(({ key }) => key)).toEqual([
    "prompt:one",
    "a",
    "b",
    "c",
  ])
})

test("[E3][R41] a viewer that returns gets what it missed, not the start", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(20)
  const since = cursorNow(room)
  runner.send({ entry: toolOf("b", "one") })
  room.sleep(20)

  expect(keysOf(new ViewerHand(room).hello(since))).toEqual(["b"])
})

test("[E3][R41] a viewer that missed nothing is sent no frame", () => {
  const { room } = runningRoom(one)

  expect(new ViewerHand(room).hello(cursorNow(room)).frames()).toEqual([])
})

test("[E3][R42] a cursor of another epoch, before the tail or beyond the head is answered by resync", () => {
  const { room, runner } = runningRoom(one)
  for (let i = 0; i < TAIL_SEQS + 50; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { state: "completed" }) })
  }
  settle(room)
  const { epoch, tail, ingestedSeq } = room.state.meta.log
  const resync = { type: "resync", ingested: `${epoch}:${ingestedSeq}` }

  for (const since of ["0", "123:5", `${epoch}:${tail - 1}`, `${epoch}:${ingestedSeq + 9}`]) {
    expect(new ViewerHand(room).hello(since).heard().slice(1)).toEqual([resync])
  }
  expect(new ViewerHand(room).hello(`${epoch}:${tail}`).heardOf("replay").length).toBe(1)
})

test("[E3][R42] a viewer that was told to resync is live after its next hello", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello("123:5")
  runner.send({ entry: toolOf("a", "one") })
  room.sleep(20)
  expect(viewer.frames()).toEqual([])
  viewer.hello(cursorNow(room))
  runner.send({ entry: toolOf("b", "one") })
  room.sleep(20)

  expect(keysOf(viewer)).toEqual(["b"])
})

test("[R43] who has too much unseen is told so, waits, and goes on from its own place", () => {
  const { room, runner } = runningRoom(one)
  const [slow, quick] = [new ViewerHand(room).hello(), new ViewerHand(room).hello()]
  let quickRead = 0
  const output = "x".repeat(300_000)
  for (let i = 0; i < 12; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { output }) })
    room.sleep(20)
    quickRead += quick.socket.toClient.splice(0).join("").length
    quick.say({ type: "seen", received: quickRead })
  }

  const unread = slow.socket.toClient.join("").length
  expect(unread).toBeLessThan(MAX_VIEWER_UNSEEN_CHARS + 100)
  const before = slow.heard()
  expect(before.filter(({ type }) => type === "lag").length).toBe(1)
  expect(before.at(-1)).toEqual({ type: "lag" })
  const held = before.filter((message) => message.type === "frame").at(-1)?.to

  slow.say({ type: "seen", received: unread })
  const after = slow.frames()
  expect(after[0]?.from).toBe(held)
  expect(after.at(-1)?.to).toBe(room.state.storedHead)
  runner.send({ entry: toolOf("last", "one") })
  room.sleep(20)
  expect(keysOf(slow)).toContain("last")
})

test("[R43] a replay is cut where it would be too much, and continued", () => {
  const { room, runner } = runningRoom(one)
  const output = "x".repeat(300_000)
  for (let i = 0; i < 12; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { output }) })
    room.sleep(20)
  }
  const viewer = new ViewerHand(room).hello()
  const keys: string[] = []
  let received = 0
  for (let i = 0; i < 4; i++) {
    received += viewer.socket.toClient.join("").length
    keys.push(...keysOf(viewer))
    viewer.say({ type: "seen", received })
  }

  expect(keys.filter((key) => key.startsWith("t-")).length).toBe(12)
})

test("[A2][R44] a lease that ran out closes the socket before anything more is shown", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  const renewed = new ViewerHand(room, { sub: "usr_bob00000" }).hello()
  room.sleep(10 * 60_000)
  const claims = ticketOf(room, { sub: "usr_bob00000" })
  room.input({ type: "renewed", connection: renewed.socket.id, claims })
  room.sleep((LEASE_SECONDS - 600) * 1_000)
  viewer.heard()
  renewed.heard()
  runner.send({ entry: toolOf("t", "one") })

  expect(viewer.socket.closed?.code).toBe(CLOSE.unauthorized)
  expect(viewer.heard()).toEqual([])
  expect(keysOf(renewed)).toEqual(["t"])
})

test("[A2][R44] a renewal with a used, invalid or another person's ticket closes the socket", () => {
  const room = new World()
  const used = ticketOf(room)
  new ViewerHand(room, used)
  for (const claims of [used, null, ticketOf(room, { sub: "usr_eve00000" })]) {
    const viewer = new ViewerHand(room)
    room.input({ type: "renewed", connection: viewer.socket.id, claims })
    expect(viewer.socket.closed?.code).toBe(CLOSE.unauthorized)
  }
})

test("[R45] each person is listed once, as long as one of their windows is live", () => {
  const room = new World()
  const ada = new ViewerHand(room).hello()
  const second = new ViewerHand(room).hello()
  new ViewerHand(room, { sub: "usr_eve00000", name: "Eve" })
  const bob = new ViewerHand(room, { sub: "usr_bob00000", name: "Bob" }).hello()
  ada.say({ type: "presence", state: "away", typing: false })
  second.say({ type: "presence", state: "here", typing: true })
  room.sleep(20)

  expect(bob.heardOf("presence").at(-1)?.people).toEqual([
    { id: "usr_ada00000", name: "Ada", state: "here", typing: true },
    { id: "usr_bob00000", name: "Bob", state: "here", typing: false },
  ])
  room.disconnect(ada.socket)
  room.disconnect(second.socket)
  room.sleep(20)
  expect(
    bob
      .heardOf("presence")
      .at(-1)
      ?.people.map(({ name }) => name),
  ).toEqual(["Bob"])
})

test("[E7][R46] who joins amid a text gets what is stored and the rest from memory", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: textOf("t", "one", "Hello") })
  runner.stream(["t", 5, " wor"])
  room.sleep(20)
  runner.stream(["t", 9, "ld"])
  const viewer = new ViewerHand(room).hello()

  const frame = viewer.frames().at(-1)
  expect(frame?.entries).toMatchObject([{ key: "prompt:one" }, { key: "t", text: "Hello" }])
  expect(frame?.deltas).toEqual([["t", 5, " world"]])
})

test("[E7][R46] after a restart the rest is gone from memory, and what is stored is sent once", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  runner.stream(["t", 5, " world"])
  room.crash()

  const [frame] = new ViewerHand(room).hello().frames()
  expect(frame?.entries?.at(-1)).toMatchObject({ key: "t", text: "Hello" })
  expect(frame?.deltas).toBeUndefined()
})

test("[E3][R41] what is flushed by the hello itself replaces its stored version in the replay", () => {
  const { room, runner } = runningRoom(one)
  runner.send({ entry: toolOf("a", "one", { output: "1" }) })
  room.sleep(20)
  runner.send({ entry: toolOf("b", "one") })
  runner.send({ entry: toolOf("a", "one", { output: "2" }) })

  const frames = new ViewerHand(room).hello().frames()
  const outputs = frames.flatMap(({ entries }) => entries ?? []).filter(({ key }) => key === "a")
  expect(outputs).toMatchObject([{ output: "2" }])
})

test("[A3][R47] what viewers say changes nothing that is stored", () => {
  const { room } = readyRoom()
  const viewer = new ViewerHand(room).hello()
  const before = room.state.storedHead
  viewer.say({ type: "presence", state: "here", typing: true })
  viewer.say({ type: "seen", received: 10 })
  room.sleep(1_000)

  expect(room.state.storedHead).toBe(before)
})

test("[A4][R48] after hibernation viewers are live, the runner speaks, and open texts are asked for", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  runner.send({ entry: textOf("t", "one", "Hello") })
  room.sleep(20)
  runner.stream(["t", 5, " wor"])
  settle(room)
  viewer.heard()
  runner.heard()
  room.hibernate()

  expect(runner.heard()).toEqual([{ type: "resend", keys: ["t"] }])
  runner.send({ entry: textOf("t", "one", "Hello world") })
  room.sleep(20)
  const frames = viewer.frames()
  expect(frames[0]).toMatchObject({ grown: [["t", 8, 5]], deltas: [["t", 5, " world"]] })
  expect(frames.at(-1)?.to).toBe(room.state.storedHead)
})

test("[R48] a viewer that lagged before hibernation goes on afterwards", () => {
  const { room, runner } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  const output = "x".repeat(900_000)
  for (let i = 0; i < 4; i++) {
    runner.send({ entry: toolOf(`t-${i}`, "one", { output }) })
    room.sleep(20)
  }
  settle(room)
  const received = viewer.socket.toClient.join("").length
  const before = keysOf(viewer)
  room.hibernate()
  viewer.say({ type: "seen", received })

  expect([...before, ...keysOf(viewer)].filter((key) => key.startsWith("t-")).length).toBe(4)
})

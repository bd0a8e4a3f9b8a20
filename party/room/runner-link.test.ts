import { expect, test } from "vitest"
import { CLOSE } from "../protocol/close-code.ts"
import {
  bootReady,
  fence,
  fencedRoom,
  RunnerHand,
  readyRoom,
  runningRoom,
  settle,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, toolOf } from "./testing/samples.ts"

const reports = (room: { store: { reports: Map<number, string> } }) =>
  [...room.store.reports.values()].map((body) => JSON.parse(body))

test("[D7][R12] an older generation is refused for good, an unknown newer one shall come back", () => {
  const room = fencedRoom()
  fence(room, 2)

  expect(new RunnerHand(room, 1).socket.closed?.code).toBe(CLOSE.superseded)
  expect(new RunnerHand(room, 3).socket.closed?.code).toBe(CLOSE.tryAgainLater)
  expect(new RunnerHand(room, 2).socket.closed).toBeNull()
})

test("[E1][R13] items that were taken are acknowledged again, not taken again", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  runner.send({ entry: toolOf("t", "one", { output: "1" }) })
  room.sleep(20)
  const head = room.state.storedHead
  runner.heard()

  const items = [{ entry: toolOf("t", "one", { output: "1" }) }, { entry: toolOf("u", "one") }]
  runner.say({ type: "items", from: runner.next - 1, items })
  room.sleep(20)

  expect(runner.heardOf("ack")).toEqual([{ type: "ack", acked: runner.next }])
  expect(room.state.storedHead).toBe(head + 1)
})

test("[E1][R13] a gap makes the runner come back", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  runner.next += 1
  runner.send({ entry: toolOf("t", "one") })

  expect(runner.socket.closed?.code).toBe(CLOSE.tryAgainLater)
  expect(room.store.place("t")).toBeNull()
})

test("[E1][R13] hello says how far the stream is stored, also after a crash", () => {
  const { room, runner } = readyRoom()
  room.crash()

  expect(new RunnerHand(room).hello().heardOf("welcome")[0]?.acked).toBe(runner.next - 1)
})

test("[E1][I2][R13] what waits for a flush when the room dies is not acknowledged", () => {
  const room = fencedRoom()
  room.call({ call: "run", claim: claimOf("one") })
  const runner = new RunnerHand(room).hello()
  room.sleep(20)
  runner.send(bootReady(1), { entry: toolOf("t", "one") })
  room.crash()

  expect(room.store.place("t")).toBeNull()
  expect(new RunnerHand(room).hello().heardOf("welcome")[0]?.acked).toBe(1)
})

test("[E1][R14] another stream starts at 1", () => {
  const { room } = readyRoom()
  const other = new RunnerHand(room).hello(1, "stream-two")

  expect(other.heardOf("welcome")[0]?.acked).toBe(0)
})

test("[R15] a newer connection takes over and the older is not heard any more", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const newer = new RunnerHand(room).hello()
  newer.next = runner.next

  expect(runner.socket.closed?.code).toBe(CLOSE.superseded)
  const message = {
    type: "items" as const,
    from: runner.next,
    items: [{ entry: toolOf("old", "one") }],
  }
  room.input({ type: "runner-said", connection: runner.socket.id, message, chars: 10 })
  newer.send({ entry: toolOf("new", "one") })
  room.sleep(20)

  expect(room.store.place("old")).toBeNull()
  expect(room.store.place("new")).not.toBeNull()
})

test("[R16] what is no message, comes before hello, or speaks another version closes the socket", () => {
  const room = fencedRoom()
  const garbled = new RunnerHand(room)
  room.input({ type: "garbled", connection: garbled.socket.id, message: "not JSON" })
  const hasty = new RunnerHand(room).send({ entry: toolOf("t", "one") })
  const stranger = new RunnerHand(room)
  stranger.say({
    type: "hello",
    protocol: 99,
    generation: 1,
    streamId: "stream-one",
    attempt: null,
  })
  const liar = new RunnerHand(room).hello(2)

  const codes = [garbled, hasty, stranger, liar].map(({ socket }) => socket.closed?.code)
  expect(codes).toEqual([CLOSE.badMessage, CLOSE.badMessage, CLOSE.wrongVersion, CLOSE.badMessage])
  expect(room.store.place("t")).toBeNull()
})

test("[R17] a runner that goes and returns is lost, then connected, for viewers and for PostgreSQL", () => {
  const { room, runner } = readyRoom()
  const viewer = new ViewerHand(room).hello()
  expect(viewer.heardOf("replay")[0]?.runner).toBe("connected")

  room.disconnect(runner.socket)
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "lost" }])
  new RunnerHand(room).hello()
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "connected" }])

  room.sleep(20)
  const links = reports(room).filter(({ type }) => type === "runner.link")
  expect(links.map(({ state }) => state)).toEqual(["lost", "connected"])
})

test("[R17] a room that died tells that its runner is gone", () => {
  const { room } = readyRoom()
  room.crash()

  expect(reports(room)).toContainEqual({ type: "runner.link", generation: 1, state: "lost" })
})

test("[A4][R18] eight silent seconds of a running attempt count as lost until the next sign of life", () => {
  const { room, runner } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  viewer.heard()

  room.sleep(10_000)
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "lost" }])
  runner.send({ entry: toolOf("t", "one") })
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "connected" }])
})

test("[A4][R18] pings alone keep a runner connected", () => {
  const { room } = runningRoom(claimOf("one"))
  const viewer = new ViewerHand(room).hello()
  viewer.heard()
  for (let i = 0; i < 10; i++) room.sleep(4_000, room.now + 4_000)

  expect(viewer.heardOf("runner")).toEqual([])
})

test("[A4][R18] an idle room does not watch its runner", () => {
  const { room } = readyRoom()
  settle(room)

  expect(room.alarmAt).toBeNull()
  expect(room.tickAt).toBeNull()
})

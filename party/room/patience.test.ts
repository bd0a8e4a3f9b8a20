import { expect, test } from "vitest"
import {
  accepted,
  ended,
  RunnerHand,
  readyRoom,
  running,
  runningRoom,
  settle,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, textOf } from "./testing/samples.ts"
import type { World } from "./testing/world.ts"

const one = claimOf("one")
const { acceptMs, turnMs } = one.deadlines
const stop = { call: "stop", promptId: one.promptId, attempt: 1 } as const

/** Time passes in which the runner does nothing but answer pings. */
function ping(room: World, ms: number): void {
  for (let left = ms; left > 0; left -= 4_000) {
    const passed = Math.min(left, 4_000)
    room.sleep(passed, room.now + passed)
  }
}

const links = (room: World): string[] =>
  [...room.store.reports.values()]
    .map((body) => JSON.parse(body))
    .filter(({ type }) => type === "runner.link")
    .map(({ state }) => state)

test("[D8][R24] a runner that says hello again and again and never accepts is lost as if it had stayed", () => {
  const { room } = readyRoom()
  room.call({ call: "run", claim: one })
  const before = links(room).length

  for (let hello = 0; hello < 500; hello++) {
    const runner = new RunnerHand(room).hello()
    expect(runner.heardOf("run").length).toBe(1)
    ping(room, acceptMs - 1)
  }
  expect(links(room).slice(before)).toEqual(["lost"])
  expect(room.state.meta.link?.state).toBe("lost")
  expect(room.state.meta.work).toMatchObject({ phase: "sent" })
})

test("[D8][R24] patience with a runner that does not accept goes on over restarts of the room", () => {
  const { room } = readyRoom()
  room.call({ call: "run", claim: one })
  for (let life = 0; life < 3; life++) {
    ping(room, acceptMs - 1_000)
    room.crash()
    new RunnerHand(room).hello()
  }

  expect(room.state.meta.link?.state).toBe("lost")
})

test("[D8][R24] a runner that was away when patience ended is connected once it accepts", () => {
  const { room, runner } = readyRoom()
  room.call({ call: "run", claim: one })
  room.disconnect(runner.socket)
  room.sleep(60_000)
  const viewer = new ViewerHand(room).hello()
  viewer.heard()
  const again = new RunnerHand(room).hello()
  again.next = runner.next
  expect(viewer.heardOf("runner")).toEqual([])

  again.send(accepted(one))
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "connected" }])
})

test("[D8][R19] a turn that its runner does not end counts it as lost, ten minutes after its deadline", () => {
  const { room, runner } = runningRoom(one)
  ping(room, turnMs + 9 * 60_000)
  const viewer = new ViewerHand(room).hello()
  expect(viewer.heardOf("replay")[0]?.runner).toBe("connected")
  ping(room, 2 * 60_000)
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "lost" }])

  // Still at work, and still overdue: what it writes is taken, the link stays as it is.
  runner.send({ entry: textOf("t", "one", "and then") })
  ping(room, 20)
  expect(room.store.body("t")).toContain("and then")
  expect(viewer.heardOf("runner")).toEqual([])
})

test("[D8][R19] a turn that was only accepted has the same end, over restarts of the room", () => {
  const { room, runner } = readyRoom()
  room.call({ call: "run", claim: one })
  runner.send(accepted(one))
  ping(room, turnMs / 2)
  room.crash()
  new RunnerHand(room).hello()
  ping(room, turnMs / 2 + 11 * 60_000)

  expect(room.state.meta.link?.state).toBe("lost")
})

test("[D8][R19] a stop that does not end its attempt within a minute counts the runner as lost", () => {
  const { room } = runningRoom(one)
  const viewer = new ViewerHand(room).hello()
  room.call(stop)
  viewer.heard()
  ping(room, 59_000)
  expect(viewer.heardOf("runner")).toEqual([])
  ping(room, 2_000)
  expect(viewer.heardOf("runner")).toEqual([{ type: "runner", link: "lost" }])

  // Neither a stop that is repeated nor a runner that comes back begins the minute anew.
  room.call(stop)
  expect(new RunnerHand(room).hello().heardOf("stop").length).toBe(1)
  ping(room, 30_000)
  expect(viewer.heardOf("runner")).toEqual([])
  expect(room.state.meta.work).toMatchObject({ phase: "running", stopRequested: true })
})

test("[D8][R19] the minute of a stop begins when a runner is there to hear it", () => {
  const { room, runner } = runningRoom(one)
  room.disconnect(runner.socket)
  room.call(stop)
  room.sleep(120_000)
  new RunnerHand(room).hello()
  ping(room, 59_000)
  expect(room.state.meta.link?.state).toBe("connected")
  ping(room, 2_000)
  expect(room.state.meta.link?.state).toBe("lost")
})

test("[D8][R19] a runner that ends its attempt after all is connected at once, and may have the next", () => {
  const { room, runner } = runningRoom(one)
  room.call(stop)
  ping(room, 90_000)
  expect(room.state.meta.link?.state).toBe("lost")
  runner.send(ended(one, "stopped"))

  expect(room.state.meta.link?.state).toBe("connected")
  settle(room)
  room.call({ call: "run", claim: claimOf("two") })
  expect(runner.heardOf("run").length).toBe(1)
  runner.send(accepted(claimOf("two")), running(claimOf("two")))
  ping(room, 90_000)
  expect(room.state.meta.link?.state).toBe("connected")
})

test("[A4][R19] a turn's patience needs no timer after its end, nor without a runner", () => {
  const { room, runner } = runningRoom(one)
  room.call(stop)
  room.disconnect(runner.socket)
  settle(room)
  expect(room.alarmAt).toBeNull()

  const again = new RunnerHand(room).hello()
  again.next = runner.next
  again.send(ended(one, "stopped"))
  settle(room)
  expect([room.alarmAt, room.state.tickAt]).toEqual([null, null])
})

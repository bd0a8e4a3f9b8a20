import { expect, test } from "vitest"
import type { Claim, ReportOf } from "../protocol/work.ts"
import {
  accepted,
  bootReady,
  confirm,
  ended,
  fence,
  RunnerHand,
  readyRoom,
  running,
  runningRoom,
  settle,
  storedPrompt,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, promptId, toolOf } from "./testing/samples.ts"
import type { World } from "./testing/world.ts"

const host = claimOf("host")
const hostRef = { promptId: host.promptId, attempt: 1 }

const steerOf = (name: string, changes: Partial<Claim> = {}) =>
  claimOf(name, { turnId: host.turnId, steers: hostRef, ...changes })

const steer = steerOf("steer")
const run = (room: World, claim: Claim) => room.call({ call: "run", claim })
const stopHost = (room: World) => room.call({ call: "stop", ...hostRef })

const returned = (name: string): ReportOf<"attempt.returned"> => ({
  type: "attempt.returned",
  promptId: promptId(name),
  attempt: 1,
})

/** The reports that are stored and not confirmed, without their types' common prefix. */
function reportsOf(room: World, name: string): string[] {
  room.sleep(20)
  return [...room.store.reports.values()]
    .map((body) => JSON.parse(body))
    .filter(({ promptId: id }) => id === name)
    .map(({ type, state }) => `${type.replace("attempt.", "")}${state ? ` ${state}` : ""}`)
}

test("[D4][D14][R36][R37] a steer is stored, then sent to the runner of its host, beside it", () => {
  const { room, runner } = runningRoom(host)
  const effects = room.input({ type: "call", replyId: "r", call: { call: "run", claim: steer } })

  expect(effects[0]).toMatchObject({
    effect: "store",
    meta: { steers: [{ phase: "sent", claim: steer }] },
    attempts: [{ promptId: "steer", attempt: 1 }],
    entries: [],
  })
  expect(runner.heardOf("run")).toMatchObject([{ claim: steer }])
  expect(room.state.meta.work).toMatchObject({ phase: "running", claim: host })
  expect(run(room, steer).ok).toBe(true)
  expect(runner.heardOf("run")).toEqual([])
})

test("[D5][R37] a steer is sent again after each hello until it is accepted", () => {
  const { room, runner } = runningRoom(host)
  run(room, steer)
  room.input({ type: "closed", connection: runner.socket.id })
  room.crash()

  const next = new RunnerHand(room).hello()
  expect(next.heardOf("run")).toMatchObject([{ claim: steer }])
  next.next = runner.next
  next.send(accepted(steer))
  expect(new RunnerHand(room).hello().heardOf("run")).toEqual([])
})

test("[D14][R36] a steer waits in the room until its host is accepted", () => {
  const { room, runner } = readyRoom()
  run(room, host)
  run(room, steer)
  expect(runner.heardOf("run")).toMatchObject([{ claim: host }])

  runner.send(accepted(host))
  expect(runner.heardOf("run")).toMatchObject([{ claim: steer }])
})

test("[E6][R38] a steer's entry stands where the agent took it, in its host's turn", () => {
  const { room, runner } = runningRoom(host)
  const viewer = new ViewerHand(room).hello()
  run(room, steer)
  runner.send(accepted(steer), { entry: toolOf("before", "host") })
  room.sleep(20)
  expect(room.store.place("prompt:steer")).toBeNull()

  runner.send(running(steer), { entry: toolOf("after", "host") })
  room.sleep(20)
  expect(storedPrompt(room, "steer")).toMatchObject({
    state: "running",
    turnId: "host",
    text: steer.text,
  })
  runner.send(ended(steer), ended(host))
  room.sleep(20)
  const order = viewer.frames().flatMap(({ entries }) => entries ?? [])
  const first = new Map(order.toReversed().map(({ key, firstSeq }) => [key, firstSeq]))
  expect([...first].toSorted(([, a], [, b]) => a - b).map(([key]) => key)).toEqual([
    "prompt:host",
    "before",
    "prompt:steer",
    "after",
  ])
  expect(storedPrompt(room, "steer").state).toBe("succeeded")
  expect(room.store.place("prompt:host")?.seq).toBe(room.state.storedHead)
})

test("[D14][R36] a steer whose host is over goes back at once, and no claim comes before that is confirmed", () => {
  const { room, runner } = runningRoom(host)
  runner.send(ended(host))
  settle(room)
  runner.heard()

  expect(room.posts.splice(0)).toMatchObject([{ post: "claim-next" }])
  room.input({ type: "posted", post: "claim-next", result: { ok: true, claim: steer } })
  expect(reportsOf(room, "steer")).toEqual(["returned"])
  expect(run(room, steer)).toMatchObject({ ok: false, error: { reason: "attempt-over" } })
  expect(runner.heardOf("run")).toEqual([])
  expect(room.posts).toMatchObject([{ post: "ingest" }])
  confirm(room)
  expect(room.posts).toMatchObject([{ post: "claim-next" }])
})

test("[D14][R36] a steer of a host that is being stopped, or of an earlier one, goes back at once", () => {
  const { room, runner } = runningRoom(host)
  run(room, steerOf("late", { steers: { promptId: promptId("earlier"), attempt: 1 } }))
  expect(reportsOf(room, "late")).toEqual(["returned"])
  stopHost(room)
  run(room, steer)
  expect(reportsOf(room, "steer")).toEqual(["returned"])
  expect(runner.heardOf("run")).toEqual([])
  expect(room.state.meta.work).toMatchObject({ phase: "running" })
})

test("[D14][R39] what the runner gives back is returned, without an entry", () => {
  const { room, runner } = runningRoom(host)
  run(room, steer)
  stopHost(room)
  runner.send(accepted(steer), returned("steer"), ended(host, "stopped"))

  expect(reportsOf(room, "steer")).toEqual(["accepted", "returned"])
  expect(reportsOf(room, "host")).toEqual(["ended stopped"])
  expect(room.store.place("prompt:steer")).toBeNull()
})

test("[D14][R39] a steer that crossed its host's end on the way is returned by the room", () => {
  const { room, runner } = runningRoom(host)
  run(room, steer)
  runner.send(ended(host))

  expect(reportsOf(room, "steer")).toEqual(["returned"])
  expect(room.state.meta.steers).toEqual([])
  runner.send(accepted(steer), running(steer), ended(steer))
  expect(reportsOf(room, "steer")).toEqual(["returned"])
})

test("[D9][D14][R39] a fence ends what was taken as the host, interrupts what may have been, returns what was not sent", () => {
  const { room, runner } = runningRoom(host)
  const names = ["taken", "held", "sent"]
  for (const name of names) run(room, steerOf(name))
  runner.send(accepted(steerOf("taken")), accepted(steerOf("held")), running(steerOf("taken")))
  settle(room)
  room.disconnect(runner.socket)
  run(room, steerOf("unsent"))
  fence(room, 2)

  for (const name of names) {
    expect(reportsOf(room, name)).toEqual(["ended interrupted"])
    expect(storedPrompt(room, name)).toMatchObject({
      state: "interrupted",
      error: { reason: "sandbox-lost" },
    })
  }
  expect(reportsOf(room, "unsent")).toEqual(["returned"])
  expect(room.state.meta.steers).toEqual([])
  const errors = [...room.store.entries.keys()].filter((key) => key.startsWith("error:"))
  expect(errors, "[R58] what ended them all is told once").toEqual([`error:${host.promptId}:1`])
})

test("[D12][D14][R39] a fence after a stop does not stop what may not have been taken", () => {
  const { room, runner } = runningRoom(host)
  for (const name of ["taken", "held"]) run(room, steerOf(name))
  runner.send(accepted(steerOf("taken")), running(steerOf("taken")))
  stopHost(room)
  fence(room, 2)

  expect(storedPrompt(room, "host").state).toBe("stopped")
  expect(storedPrompt(room, "taken")).toMatchObject({ state: "stopped", error: null })
  expect(storedPrompt(room, "held")).toMatchObject({
    state: "interrupted",
    error: { reason: "steer-unsettled" },
  })
  const errors = [...room.store.entries.keys()].filter((key) => key.startsWith("error:"))
  expect(errors, "[R58] a reason of its own is told").toEqual(["error:held:1"])
})

test("[D7][R23] a steer of another generation is refused", () => {
  const { room } = runningRoom(host)
  const early = run(room, steerOf("steer", { generation: 2 }))
  expect(early).toMatchObject({ ok: false, error: { reason: "not-fenced" } })
  fence(room, 2)
  new RunnerHand(room, 2).hello(2).send(bootReady(2))
  expect(run(room, steer)).toMatchObject({ ok: false, error: { reason: "stale-generation" } })
})

test("[D13][R31] a steer that came back is another attempt, with a turn and an entry of its own", () => {
  const { room, runner } = runningRoom(host)
  run(room, steer)
  runner.send(accepted(steer), returned("steer"), ended(host))
  settle(room)
  runner.heard()

  expect(run(room, claimOf("steer", { attempt: 2 })).ok).toBe(true)
  expect(runner.heardOf("run")).toMatchObject([{ claim: { promptId: "steer", attempt: 2 } }])
  const place = room.store.place("prompt:steer")
  expect(place?.firstSeq).toBeGreaterThan(room.store.place("prompt:host")?.seq ?? 0)
})

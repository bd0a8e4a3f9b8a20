import { expect, test } from "vitest"
import { ViewerHand } from "./testing/hands.ts"
import { World } from "./testing/world.ts"

const change = (version: number, status: "queued" | "booting" | "idle") => ({
  version,
  status,
  reason: `It is ${status}.`,
})

test("[R50] status changes enter the timeline once, in the order of their versions", () => {
  const room = new World()
  const viewer = new ViewerHand(room).hello()
  room.call({ call: "status", changes: [change(2, "booting"), change(1, "queued")] })
  room.call({ call: "status", changes: [change(1, "queued"), change(2, "booting")] })
  room.crash()
  room.call({ call: "status", changes: [change(2, "booting"), change(3, "idle")] })

  expect(viewer.frames().flatMap(({ entries }) => entries ?? [])).toMatchObject([
    { key: "status:1", status: "queued", turnId: null },
    { key: "status:2", status: "booting", reason: "It is booting." },
  ])
  expect([...room.store.entries.keys()]).toEqual(["status:1", "status:2", "status:3"])
})

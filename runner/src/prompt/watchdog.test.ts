import { expect, test } from "vitest"
import { moved, startWatch, verdict } from "./watchdog.ts"

const deadlines = { acceptMs: 1, startMs: 100, silenceMs: 1_000, turnMs: 10_000 }
const none = { running: false, pending: false }

test("an agent that does not begin is noticed after startMs", () => {
  const watch = startWatch(0)
  expect(verdict(watch, deadlines, none, 100)).toBeNull()
  expect(verdict(watch, deadlines, none, 101)).toBe("agent-did-not-start")
})

test("a model that falls silent is noticed after silenceMs", () => {
  const watch = moved(startWatch(0), 50)
  expect(verdict(watch, deadlines, none, 1_050)).toBeNull()
  expect(verdict(watch, deadlines, none, 1_051)).toBe("model-silent")
})

test("while a tool runs the model may be silent, and while it writes one's input longer", () => {
  const watch = moved(startWatch(0), 0)
  expect(verdict(watch, deadlines, { running: true, pending: false }, 9_999)).toBeNull()
  expect(verdict(watch, deadlines, { running: false, pending: true }, 4_999)).toBeNull()
  expect(verdict(watch, deadlines, { running: false, pending: true }, 5_001)).toBe("model-silent")
})

test("the agent's wait before it asks the model again is not the model's silence", () => {
  const watch = moved(moved(startWatch(0), 900), 100)
  expect(watch.movedAtMs).toBe(900)
  expect(verdict(watch, deadlines, none, 1_900)).toBeNull()
})

test("nothing may take longer than turnMs", () => {
  const watch = moved(startWatch(0), 10_000)
  expect(verdict(watch, deadlines, { running: true, pending: false }, 10_001)).toBe("turn-too-long")
})

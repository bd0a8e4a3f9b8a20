import { expect, test } from "vitest"
import { withPhase } from "./phases.ts"

const now = new Date("2026-11-22T10:00:05.000Z")
const clone = { phase: "clone", detail: "", error: null } as const

test("a phase keeps the time it began and its place when it goes on", () => {
  const begun = withPhase([], { ...clone, state: "running", durationMs: 1_000 }, now)
  const later = new Date(now.getTime() + 9_000)
  const done = withPhase(begun, { ...clone, state: "done", durationMs: 2_500 }, later)
  expect(begun[0]?.startedAt).toBe("2026-11-22T10:00:04.000Z")
  expect(done).toEqual([
    { ...clone, state: "done", durationMs: 2_500, startedAt: "2026-11-22T10:00:04.000Z" },
  ])
})

test("phases stand in the order in which they began", () => {
  const report = { detail: "", error: null, state: "running", durationMs: 0 } as const
  const phases = ["machine", "clone", "agent"] as const
  const all = phases.reduce(
    (held, phase) => withPhase(held, { ...report, phase }, now),
    withPhase([], { ...report, phase: "machine" }, now),
  )
  expect(all.map(({ phase }) => phase)).toEqual([...phases])
})

import { describe, expect, test } from "vitest"
import {
  addCounts,
  afterRepeat,
  failuresOf,
  filesToRepeat,
  isGreen,
  outcomeOf,
  type Stage,
  stageCounts,
  summaryLine,
} from "./test-counts.ts"

const tests: Stage = { name: "unit tests", vitest: "vitest.config.ts", deadlineMs: 1 }
const build: Stage = { name: "web build", command: ["next", "build"], deadlineMs: 1 }

function file(name: string, ...states: string[]) {
  const failed = states.includes("failed") || states.length === 0
  return {
    name,
    status: failed ? "failed" : "passed",
    message: states.length === 0 ? "it does not load" : "",
    assertionResults: states.map((status, at) => ({
      fullName: `test ${at}`,
      status,
      failureMessages: status === "failed" ? ["\u001b[31mError: 1 is not 2\u001b[39m\n  at x"] : [],
    })),
  }
}

const ran = (ok: boolean, ...testResults: ReturnType<typeof file>[]) =>
  outcomeOf(ok, { testResults })

describe("a stage of tests", () => {
  test("counts its tests", () => {
    const green = ran(true, file("a", "passed", "passed"), file("b", "passed", "pending"))
    expect(stageCounts(tests, green)).toEqual({ passed: 3, failed: 0, skipped: 1 })
    const red = ran(false, file("a", "passed", "failed"), file("b", "failed"))
    expect(stageCounts(tests, red)).toEqual({ passed: 1, failed: 2, skipped: 0 })
  })

  test("fails when it ran nothing", () => {
    expect(stageCounts(tests, ran(true)).failed).toBe(1)
    expect(stageCounts(tests, ran(true, file("a", "skipped"))).failed).toBe(1)
  })

  test("fails when the run failed although each test passed, as when a file does not load", () => {
    expect(stageCounts(tests, ran(false, file("a", "passed"), file("b"))).failed).toBe(1)
    expect(stageCounts(tests, ran(false, file("a", "passed"))).failed).toBe(1)
  })

  test("fails when it left no report", () => {
    const counts = stageCounts(tests, outcomeOf(true, undefined))
    expect(counts).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

test("any other stage counts as one", () => {
  const passed = stageCounts(build, outcomeOf(true, undefined))
  expect(passed).toEqual({ passed: 1, failed: 0, skipped: 0 })
  const failed = stageCounts(build, outcomeOf(false, undefined))
  expect(failed).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test("the summary names skipped tests only when there are any", () => {
  const some = { passed: 2, failed: 1, skipped: 0 }

  expect(summaryLine(some)).toBe("2 passed, 1 failed")
  expect(summaryLine(addCounts(some, { passed: 1, failed: 0, skipped: 4 }))).toBe(
    "3 passed, 1 failed, 4 skipped",
  )
})

test("a run is green when nothing failed and nothing was skipped", () => {
  expect(isGreen({ passed: 2, failed: 0, skipped: 0 })).toBe(true)
  expect(isGreen({ passed: 2, failed: 1, skipped: 0 })).toBe(false)
  expect(isGreen({ passed: 2, failed: 0, skipped: 1 })).toBe(false)
})

test("what failed is named with its reason: tests, files that do not load, or else the stage", () => {
  const mixed = ran(false, file("a", "passed", "failed"), file("b"), file("c", "passed"))

  expect(failuresOf(tests, mixed)).toEqual([
    "a: test 1\n    Error: 1 is not 2\n      at x",
    "b\n    it does not load",
  ])
  expect(failuresOf(tests, ran(true, file("c", "passed")))).toEqual([])
  expect(failuresOf(tests, ran(true, file("c", "pending")))).toEqual(["c: test 0 (skipped)"])
  expect(failuresOf(tests, outcomeOf(false, undefined))).toEqual(["unit tests"])
  expect(failuresOf(build, outcomeOf(false, undefined))).toEqual(["web build"])
})

describe("a file that failed is run once more", () => {
  const first = ran(false, file("a", "passed", "failed"), file("b", "passed"))

  test("and what passes then is not counted as failed, but named as unsteady", () => {
    expect(filesToRepeat(first)).toEqual(["a"])
    const { outcome, unsteady } = afterRepeat(first, ran(true, file("a", "passed", "passed")))
    expect(stageCounts(tests, outcome)).toEqual({ passed: 3, failed: 0, skipped: 0 })
    expect(failuresOf(tests, outcome)).toEqual([])
    expect(unsteady).toEqual(["a: test 1\n    Error: 1 is not 2\n      at x"])
  })

  test("and what fails again has failed, also another test of it", () => {
    const { outcome, unsteady } = afterRepeat(first, ran(false, file("a", "failed", "passed")))
    expect(stageCounts(tests, outcome)).toEqual({ passed: 2, failed: 1, skipped: 0 })
    expect(unsteady).toEqual([])
  })

  test("and a second run without a report leaves what the first one said", () => {
    const { outcome, unsteady } = afterRepeat(first, outcomeOf(false, undefined))
    expect(stageCounts(tests, outcome)).toEqual({ passed: 2, failed: 1, skipped: 0 })
    expect(unsteady).toEqual([])
  })

  test("unless so many failed that it is no chance, or the stage failed as a whole", () => {
    const many = ["a", "b", "c", "d"].map((name) => file(name, "failed"))
    expect(filesToRepeat(ran(false, ...many))).toEqual([])
    expect(filesToRepeat(ran(false, file("a", "passed")))).toEqual([])
    expect(filesToRepeat(outcomeOf(false, undefined))).toEqual([])
  })
})

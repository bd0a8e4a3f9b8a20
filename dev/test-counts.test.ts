import { describe, expect, test } from "vitest"
import {
  addCounts,
  failuresOf,
  isGreen,
  type Stage,
  stageCounts,
  summaryLine,
} from "./test-counts.ts"

const tests: Stage = { name: "unit tests", vitest: "vitest.config.ts", deadlineMs: 1 }
const build: Stage = { name: "web build", command: ["next", "build"], deadlineMs: 1 }

function report(passed: number, failed = 0, skipped = 0) {
  return {
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numTodoTests: 0,
  }
}

describe("a stage of tests", () => {
  test("counts its tests", () => {
    expect(stageCounts(tests, true, report(3, 0, 1))).toEqual({ passed: 3, failed: 0, skipped: 1 })
    expect(stageCounts(tests, false, report(3, 2))).toEqual({ passed: 3, failed: 2, skipped: 0 })
  })

  test("fails when it ran nothing", () => {
    expect(stageCounts(tests, true, report(0)).failed).toBe(1)
    expect(stageCounts(tests, true, report(0, 0, 5)).failed).toBe(1)
  })

  test("fails when the run failed although each test passed, as when a file does not load", () => {
    expect(stageCounts(tests, false, report(3)).failed).toBe(1)
  })

  test("fails when it left no report", () => {
    expect(stageCounts(tests, true, undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

test("any other stage counts as one", () => {
  expect(stageCounts(build, true, undefined)).toEqual({ passed: 1, failed: 0, skipped: 0 })
  expect(stageCounts(build, false, undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 })
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

test("what failed is named: tests, files that do not load, or else the stage", () => {
  const file = (name: string, ...states: string[]) => ({
    name,
    status: states.includes("failed") || states.length === 0 ? "failed" : "passed",
    assertionResults: states.map((status, at) => ({ fullName: `test ${at}`, status })),
  })
  const mixed = {
    testResults: [
      file("a.test.ts", "passed", "failed"),
      file("b.test.ts"),
      file("c.test.ts", "passed"),
    ],
  }

  expect(failuresOf(tests, false, mixed)).toEqual(["a.test.ts: test 1", "b.test.ts"])
  expect(failuresOf(tests, true, { testResults: [file("c.test.ts", "passed")] })).toEqual([])
  expect(failuresOf(tests, true, { testResults: [file("c.test.ts", "pending")] })).toEqual([
    "c.test.ts: test 0 (skipped)",
  ])
  expect(failuresOf(tests, false, undefined)).toEqual(["unit tests"])
  expect(failuresOf(build, false, undefined)).toEqual(["web build"])
})

import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { Delta } from "#protocol/runner"
import { DeltaBatch } from "./delta-batch.ts"

let sent: Delta[][]
let batch: DeltaBatch

beforeEach(() => {
  vi.useFakeTimers()
  sent = []
  batch = new DeltaBatch((deltas) => sent.push(deltas))
})

afterEach(() => {
  batch.close()
  vi.useRealTimers()
})

test("the first piece goes out at once, those of the next 16 ms together", () => {
  batch.add([["a", 0, "x"]])
  expect(sent).toEqual([[["a", 0, "x"]]])
  batch.add([["a", 1, "y"]])
  batch.add([
    ["b", 5, "1"],
    ["a", 2, "z"],
  ])
  expect(sent).toHaveLength(1)
  vi.advanceTimersByTime(16)
  expect(sent.slice(1)).toEqual([
    [
      ["a", 1, "yz"],
      ["b", 5, "1"],
    ],
  ])
  vi.advanceTimersByTime(100)
  expect(vi.getTimerCount()).toBe(0)
})

test("a flush sends what waits, once", () => {
  batch.add([["a", 0, "x"]])
  batch.add([["a", 1, "y"]])
  batch.flush()
  batch.flush()
  expect(sent).toEqual([[["a", 0, "x"]], [["a", 1, "y"]]])
})

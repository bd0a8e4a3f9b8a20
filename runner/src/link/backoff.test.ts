import { expect, test } from "vitest"
import { reconnectDelayMs } from "./backoff.ts"

test("tries again after 0.2 s, doubling to 5 s, spread by half", () => {
  expect([0, 1, 2, 5, 30].map((failures) => reconnectDelayMs(failures, 1))).toEqual([
    200, 400, 800, 5_000, 5_000,
  ])
  expect(reconnectDelayMs(0, 0)).toBe(100)
})

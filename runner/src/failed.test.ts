import { expect, test } from "vitest"
import { Failed, failureOf } from "./failed.ts"

test("a failure that was foreseen is told in its own words", () => {
  const failed = new Failed("disk-full", "The disk is full. Free some of it.")
  expect(failureOf(failed)).toEqual({ reason: failed.reason, message: failed.message })
})

test.each([
  ["ENOENT: no such file or directory, realpath '/srv/a b/c'", "realpath '…'. Try again"],
  ["fatal: cannot open /root/x/.git/index: denied.", "cannot open …: denied. Try again"],
  ["spawn git ENOENT", "spawn git ENOENT. Try again"],
  ["GET https://host/a/b answered 500", "GET https://host/a/b answered 500. Try"],
])("one that was not says what broke, but no place on the machine: %s", (said, told) => {
  const { reason, message } = failureOf(new Error(said))
  expect(reason).toBe("unexpected")
  expect(message).toContain(told)
  expect(message).toMatch(/start a new session\.$/)
})

import { tmpdir } from "node:os"
import { expect, test } from "vitest"
import { isDiskFull } from "./disk-full.ts"

test("a disk with room is not full, nor one that cannot be looked at", async () => {
  expect(await isDiskFull(tmpdir())).toBe(false)
  expect(await isDiskFull("/nowhere/at/all")).toBe(false)
})

test.runIf(process.platform === "linux")("a file system without any room is full", async () => {
  expect(await isDiskFull("/proc")).toBe(true)
})

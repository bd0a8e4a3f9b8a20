import { expect, test } from "vitest"
import type { Diff } from "#protocol/work"
import { boundDiff } from "./bound-diff.ts"

const file = (path: string, patchChars: number): Diff["files"][number] => ({
  path,
  status: "modified",
  additions: 1,
  deletions: 0,
  binary: false,
  patch: "x".repeat(patchChars),
})

const diffOf = (...files: Diff["files"]): Diff => ({ base: "abc", files, truncated: false })

test("a diff that fits stays as it is", () => {
  const diff = diffOf(file("a", 10), file("b", 20))
  expect(boundDiff(diff, 1_000)).toBe(diff)
})

test("the largest patches are dropped first, and the diff says so", () => {
  const bounded = boundDiff(diffOf(file("a", 400), file("b", 5_000), file("c", 300)), 1_200)
  expect(bounded.files.map(({ patch }) => patch.length)).toEqual([400, 0, 300])
  expect(bounded.truncated).toBe(true)
  expect(JSON.stringify(bounded).length).toBeLessThanOrEqual(1_200)
})

test("with too many files the last ones go", () => {
  const files = Array.from({ length: 100 }, (_, index) => file(`file-${index}`, 50))
  const bounded = boundDiff(diffOf(...files), 2_000)
  expect(bounded.files[0]?.path).toBe("file-0")
  expect(bounded.files.length).toBeLessThan(30)
  expect(JSON.stringify(bounded).length).toBeLessThanOrEqual(2_000)
})

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { makeDirectory } from "./make-directory.ts"

const root = mkdtempSync(join(tmpdir(), "agent-ops-make-directory-"))
afterEach(() => rmSync(root, { recursive: true, force: true }))

test("a directory is made with what is missing above it, for its owner alone, and twice does no harm", () => {
  const path = join(root, "one/two")
  makeDirectory(path)
  makeDirectory(path)
  expect(statSync(path).mode & 0o777).toBe(0o700)
})

test.runIf(process.platform === "linux")(
  "a place that takes no directory is refused at once",
  () => {
    expect(() => makeDirectory("/proc/agent-ops/home")).toThrow(/ENOENT/)
  },
)

test("a file in the way is an error that says so", () => {
  makeDirectory(root)
  writeFileSync(join(root, "file"), "")
  expect(() => makeDirectory(join(root, "file"))).toThrow(/EEXIST/)
  expect(() => makeDirectory(join(root, "file/home"))).toThrow(/ENOTDIR|EEXIST/)
})

import { afterEach, expect, test, vi } from "vitest"
import { config } from "zod"

afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
  config({ jitless: false })
})

test.each([
  () => import("./call.ts"),
  () => import("./entry.ts"),
  () => import("./runner.ts"),
  () => import("./sandbox-spec.ts"),
  () => import("./token.ts"),
  () => import("./viewer.ts"),
  () => import("./work.ts"),
])("a page reads messages without eval: %s", async (load) => {
  vi.stubGlobal("document", {})
  await load()
  expect(config().jitless).toBe(true)
})

test("a server reads them with compiled parsers", async () => {
  await import("./viewer.ts")
  expect(config().jitless).toBe(false)
})

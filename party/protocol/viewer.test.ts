import { expect, test } from "vitest"
import { fromViewerSchema } from "./viewer.ts"

test("[A3] only greetings, leases, receipts and presence go up a viewer's socket", () => {
  const types = fromViewerSchema.options.map(({ shape }) => shape.type.value)
  expect(types).toEqual(["hello", "renew", "seen", "presence"])
})

test.each([
  { type: "run", claim: {} },
  { type: "stop", promptId: "prm_00000001", attempt: 1 },
  { type: "items", from: 1, items: [] },
  { call: "end", reason: { reason: "ended-by-person", message: "Ended." } },
])("[A3] what would change something is no message of a viewer: %o", (message) => {
  expect(fromViewerSchema.safeParse(message).success).toBe(false)
})

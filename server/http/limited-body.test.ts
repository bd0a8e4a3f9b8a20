import { expect, test } from "vitest"
import { limitedBody } from "./limited-body.ts"

const request = (body: BodyInit | null, headers: Record<string, string> = {}) =>
  new Request("http://localhost/", { method: "POST", body, headers, duplex: "half" } as RequestInit)

test("a body up to the limit is read whole", async () => {
  const body = await limitedBody(request("12345"), 5)
  expect(new TextDecoder().decode(body ?? undefined)).toBe("12345")
  expect(await limitedBody(request(null), 5)).toHaveLength(0)
})

test("a longer one is refused by its announced length, or as soon as it grew too long", async () => {
  expect(await limitedBody(request("123456", { "content-length": "6" }), 5)).toBeNull()
  let pulled = 0
  const endless = new ReadableStream({
    pull(controller) {
      pulled += 1
      controller.enqueue(new Uint8Array(1_000))
    },
  })
  expect(await limitedBody(request(endless), 5_000)).toBeNull()
  expect(pulled).toBeLessThan(10)
})

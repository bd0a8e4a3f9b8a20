import { expect, test } from "vitest"
import { limitedBody } from "./limited-body.ts"

const request = (body: BodyInit | null) =>
  new Request("http://localhost/", { method: "POST", body, duplex: "half" } as RequestInit)

/** A body of `count` chunks of a megabyte, and how many were asked for. */
function megabytes(count: number) {
  const read = { count: 0 }
  const body = new ReadableStream({
    pull(controller) {
      if (read.count === count) return controller.close()
      read.count += 1
      controller.enqueue(new Uint8Array(1024 * 1024))
    },
  })
  return { body, read }
}

test("a body up to the limit is read whole", async () => {
  const body = await limitedBody(request("12345"), 5)
  expect(new TextDecoder().decode(body ?? undefined)).toBe("12345")
  expect(await limitedBody(request(null), 5)).toHaveLength(0)
})

test("a longer one is refused after it was taken, so that its sender hears the answer", async () => {
  expect(await limitedBody(request("123456"), 5)).toBeNull()
  const { body, read } = megabytes(10)
  expect(await limitedBody(request(body), 5_000)).toBeNull()
  expect(read.count).toBe(10)
})

test("one that does not end is given up", async () => {
  const { body, read } = megabytes(1_000)
  expect(await limitedBody(request(body), 5_000)).toBeNull()
  expect(read.count).toBeLessThan(40)
})

import fc from "fast-check"
import { expect, test } from "vitest"
import { eventData } from "./event-stream.ts"

function bodyOf(bytes: Uint8Array, sizes: number[]): ReadableStream<Uint8Array> {
  let at = 0
  let turn = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      const size = sizes.length > 0 ? (sizes[turn++ % sizes.length] ?? 1) : bytes.length
      controller.enqueue(bytes.subarray(at, at + size))
      at += size
    },
  })
}

test("events come whole, however the stream is cut", async () => {
  const texts = fc.array(fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)))
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(texts, sizes, fc.constantFrom("\n", "\r\n"), async (events, cuts, end) => {
      const stream = events.map((text) => `: comment${end}data: ${text}${end}${end}`).join("")
      const body = bodyOf(new TextEncoder().encode(stream), cuts)
      expect(await Array.fromAsync(eventData(body))).toEqual(events)
    }),
  )
})

test("[F12] one event of 50 MB is read in linear time", async () => {
  const startedAt = performance.now()
  const data = "x".repeat(50 * 1024 * 1024)
  const bytes = new TextEncoder().encode(`data: ${data}\n\n`)
  const [event] = await Array.fromAsync(eventData(bodyOf(bytes, [64 * 1024])))
  expect(event?.length).toBe(data.length)
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

import type { KeyFilter } from "./redact.ts"
import type { TokenCount, UsageMeter } from "./usage.ts"

/**
 * Passes a model's answer through byte for byte (but for the platform's key, should it ever be in it) while its usage is
 * read. `done` is called once, with what was counted, when the stream ends, breaks or is abandoned by the reader;
 * abandoning it also ends the upstream call.
 */
export function meteredBody(
  upstream: ReadableStream<Uint8Array>,
  { meter, keys }: { meter: UsageMeter; keys: KeyFilter | null },
  done: (total: TokenCount) => void,
): ReadableStream<Uint8Array> {
  const reader = upstream.getReader()
  let finished = false

  const finish = () => {
    if (finished) return
    finished = true
    done(meter.end())
  }

  /** The next bytes that may go on; null at the end. */
  const next = async () => {
    for (;;) {
      const { value, done: ended } = await reader.read()
      if (ended) return null
      meter.read(value)
      const passed = keys ? keys.read(value) : value
      if (passed.length > 0) return passed
    }
  }

  return new ReadableStream({
    async pull(controller) {
      try {
        const bytes = await next()
        if (bytes) {
          controller.enqueue(bytes)
          return
        }
        const held = keys?.end()
        if (held && held.length > 0) controller.enqueue(held)
        finish()
        controller.close()
      } catch (error) {
        finish()
        controller.error(error)
      }
    },
    async cancel(reason) {
      finish()
      await reader.cancel(reason)
    },
  })
}

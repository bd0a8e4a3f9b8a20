import type { Wire } from "./upstream.ts"
import { type TokenCount, UsageMeter } from "./usage.ts"

/**
 * Passes a model's answer through byte for byte while its usage is read. `done` is called once, with what was counted,
 * when the stream ends, breaks or is abandoned by the reader; abandoning it also ends the upstream call.
 */
export function meteredBody(
  upstream: ReadableStream<Uint8Array>,
  wire: Wire,
  streamed: boolean,
  done: (total: TokenCount) => void,
): ReadableStream<Uint8Array> {
  const reader = upstream.getReader()
  const meter = new UsageMeter(wire)
  const whole = new TextDecoder()
  let text = ""
  let finished = false

  const finish = () => {
    if (finished) return
    finished = true
    if (streamed) meter.end()
    else meter.readJson(text + whole.decode())
    done(meter.total)
  }

  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done: ended } = await reader.read()
        if (ended) {
          finish()
          controller.close()
          return
        }
        if (streamed) meter.read(value)
        else text += whole.decode(value, { stream: true })
        controller.enqueue(value)
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

/** So much more than the limit is read and dropped, as many clients hear no answer before all that they sent is taken. */
const MAX_DROPPED_BYTES = 32 * 1024 * 1024

/** Reads a request's body up to `maxBytes`; null for a longer one, of which the rest is dropped. */
export async function limitedBody(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return size > maxBytes ? null : joined(chunks, size)
    size += value.byteLength
    if (size <= maxBytes) {
      chunks.push(value)
    } else if (size > maxBytes + MAX_DROPPED_BYTES) {
      await reader.cancel()
      return null
    }
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}

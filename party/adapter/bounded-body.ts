import { joinBytes } from "./bytes.ts"

/**
 * A request's body, or null as soon as it is known to be larger than `maxBytes`: by its declared length before anything
 * is read, else when that many bytes have arrived.
 */
export async function boundedBody(request: Request, maxBytes: number): Promise<Uint8Array | null> {
  const declared = request.headers.get("content-length")
  if (declared !== null) {
    if (Number(declared) > maxBytes) return null
    // The platform holds the sender to the length it declared.
    return new Uint8Array(await request.arrayBuffer())
  }
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.length
    if (bytes > maxBytes) return null
    chunks.push(chunk)
  }
  return joinBytes(chunks)
}

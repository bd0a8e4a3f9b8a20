import { joinBytes } from "./bytes.ts"

/**
 * A request's body, or null when it is larger than `maxBytes`. A body that is too large is never held: as much again of
 * it is read and dropped, because a sender whose connection breaks while it writes does not get to read why.
 */
export async function boundedBody(request: Request, maxBytes: number): Promise<Uint8Array | null> {
  if (!request.body) return new Uint8Array()
  const declared = Number(request.headers.get("content-length") ?? 0)
  let chunks: Uint8Array[] = []
  let fits = declared <= maxBytes
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.length
    if (bytes > 2 * maxBytes) break
    if (bytes > maxBytes) fits = false
    if (fits) chunks.push(chunk)
    else chunks = []
  }
  return fits ? joinBytes(chunks) : null
}

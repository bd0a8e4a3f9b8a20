/**
 * The data of each server-sent event in a stream, as it came. Its cost grows with the stream's length only, however long
 * one event is.
 */
export async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let line: string[] = []
  let data: string[] = []
  for await (const chunk of body) {
    const pieces = decoder.decode(chunk, { stream: true }).split("\n")
    for (const [index, piece] of pieces.entries()) {
      line.push(piece)
      if (index === pieces.length - 1) break
      const whole = line.join("").replace(/\r$/, "")
      line = []
      if (whole.startsWith("data:")) data.push(whole.slice(whole[5] === " " ? 6 : 5))
      if (whole !== "" || data.length === 0) continue
      yield data.join("\n")
      data = []
    }
  }
}

import type { FromRunner, ToRunner } from "#protocol/runner"
import type { OutboxItem } from "#protocol/work"

type Stream = { generation: number; items: Map<number, OutboxItem>; acked: number }

/** Overhears runners and rooms: what was numbered how, and what was acknowledged. */
export class OutboxWitness {
  readonly streams = new Map<string, Stream>()
  readonly #streamOf = new Map<object, string>()
  readonly offences: string[] = []

  said(connection: object, text: string): void {
    if (text === "ping") return
    const message: FromRunner = JSON.parse(text)
    if (message.type === "hello") this.#hello(connection, message)
    if (message.type !== "items") return
    const stream = this.#stream(connection)
    for (const [index, item] of message.items.entries()) {
      const number = message.from + index
      const known = stream.items.get(number)
      if (known && JSON.stringify(known) !== JSON.stringify(item)) {
        this.offences.push(`[E1] item ${number} was sent with two meanings`)
      }
      stream.items.set(number, item)
    }
  }

  heard(connection: object, text: string): void {
    if (text === "pong") return
    const message: ToRunner = JSON.parse(text)
    if (message.type !== "welcome" && message.type !== "ack") return
    const stream = this.#stream(connection)
    stream.acked = Math.max(stream.acked, message.acked)
  }

  #hello(connection: object, { streamId, generation }: FromRunner & { type: "hello" }): void {
    this.#streamOf.set(connection, streamId)
    if (!this.streams.has(streamId)) {
      this.streams.set(streamId, { generation, items: new Map(), acked: 0 })
    }
  }

  #stream(connection: object): Stream {
    const stream = this.streams.get(this.#streamOf.get(connection) ?? "")
    if (!stream) throw new Error("a runner speaks before its hello")
    return stream
  }
}

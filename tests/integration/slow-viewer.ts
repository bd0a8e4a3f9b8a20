import { WebSocket } from "ws"
import { applyFrame, emptyLog, type SessionLog, sinceOf } from "#protocol/session-log"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import { type FromViewer, toViewerSchema } from "#protocol/viewer"

const READS_EVERY_MS = 300
const READS_FOR_MS = 15

/** A viewer that mostly does not read, so that what it was sent waits in its connection and at the room. */
export class SlowViewer {
  log: SessionLog = emptyLog()
  /** How often the room said that it sends nothing more until it is told what was seen. */
  lags = 0
  readonly #socket: WebSocket
  readonly #rhythm: NodeJS.Timeout
  #received = 0
  #isAsleep = false

  constructor({ url, ticket }: { url: string; ticket: string }) {
    this.#socket = new WebSocket(url, [SUBPROTOCOL, ticket])
    this.#socket.on("message", (data) => this.#take(String(data)))
    this.#rhythm = setInterval(() => {
      if (this.#socket.readyState !== WebSocket.OPEN || this.#isAsleep) return
      this.#socket.resume()
      setTimeout(() => {
        if (this.#socket.readyState === WebSocket.OPEN) this.#socket.pause()
      }, READS_FOR_MS)
    }, READS_EVERY_MS)
  }

  /** Reads nothing at all until it wakes. */
  sleep(): void {
    this.#isAsleep = true
    this.#socket.pause()
  }

  wake(): void {
    this.#isAsleep = false
  }

  close(): void {
    clearInterval(this.#rhythm)
    this.#socket.terminate()
  }

  #say(message: FromViewer): void {
    this.#socket.send(JSON.stringify(message))
  }

  #take(text: string): void {
    this.#received += text.length
    const message = toViewerSchema.parse(JSON.parse(text))
    const hello = () =>
      this.#say({ type: "hello", protocol: PROTOCOL_VERSION, since: sinceOf(this.log) })
    if (message.type === "welcome") hello()
    if (message.type === "lag") this.lags++
    const next = applyFrame(this.log, message)
    if (next === "gap") hello()
    else this.log = next
    this.#say({ type: "seen", received: this.#received })
  }
}

import { once } from "node:events"
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http"
import { type WebSocket, WebSocketServer } from "ws"
import {
  type Delta,
  type FromRunner,
  type FromRunnerOf,
  fromRunnerSchema,
  type ToRunner,
} from "#protocol/runner"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import type { OutboxItem } from "#protocol/work"

export type Hello = FromRunnerOf<"hello">
export type Answer = FromRunnerOf<"answer">

/** Stands in for one session's room: numbers, stores and acknowledges what a runner sends, and lets a test misbehave. */
export class RoomStub {
  readonly server: Server
  readonly hellos: Hello[] = []
  /** Everything stored, in order, over all streams. */
  readonly items: OutboxItem[] = []
  /** What arrived, items and deltas in one order, per message. */
  readonly arrived: (OutboxItem | Delta)[] = []
  readonly answers: Answer[] = []
  readonly requests: { url: string | undefined; authorization: string | undefined }[] = []
  /** Set to false to leave items unacknowledged. */
  acknowledges = true
  /** Set to false to stay silent after hello and to pings. */
  alive = true
  /** What a new connection is closed with instead of a welcome. */
  refuseWith: number | null = null
  #acked = new Map<string, number>()
  #socket: WebSocket | null = null
  #streamId = ""

  private constructor(server: Server) {
    this.server = server
    const sockets = new WebSocketServer({ server, autoPong: true, handleProtocols: protocolOf })
    sockets.on("connection", (socket, request) => this.#connected(socket, request))
  }

  /** `onRequest` answers what is not a socket. */
  static async start(onRequest: RequestListener = (_, res) => res.writeHead(404).end()) {
    const server = createServer(onRequest)
    const room = new RoomStub(server)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return room
  }

  get port(): number {
    const address = this.server.address()
    if (address === null || typeof address === "string") throw new Error("The room has no port.")
    return address.port
  }

  get connected(): boolean {
    return this.#socket !== null
  }

  send(message: ToRunner): void {
    this.#socket?.send(JSON.stringify(message))
  }

  /** Ends the runner's connection; without a code as a network failure does. */
  drop(code?: number): void {
    if (code === undefined) this.#socket?.terminate()
    else this.#socket?.close(code)
    this.#socket = null
  }

  /** Number up to which this stream is stored. */
  acked(streamId: string): number {
    return this.#acked.get(streamId) ?? 0
  }

  /** Makes the room believe another number. */
  setAcked(streamId: string, acked: number): void {
    this.#acked.set(streamId, acked)
  }

  async stop(): Promise<void> {
    this.drop()
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, "close")
  }

  #connected(socket: WebSocket, { url, headers }: IncomingMessage): void {
    this.requests.push({ url, authorization: headers.authorization })
    if (this.refuseWith !== null) {
      socket.close(this.refuseWith)
      return
    }
    this.#socket = socket
    socket.on("message", (data) => this.#heard(String(data)))
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = null
    })
  }

  #heard(text: string): void {
    if (!this.alive) return
    if (text === "ping") this.#socket?.send("pong")
    else this.#received(fromRunnerSchema.parse(JSON.parse(text)))
  }

  #received(message: FromRunner): void {
    if (message.type === "hello") this.#welcome(message)
    else if (message.type === "items") this.#store(message)
    else if (message.type === "deltas") this.arrived.push(...message.deltas)
    else this.answers.push(message)
  }

  #welcome(hello: Hello): void {
    this.hellos.push(hello)
    this.#streamId = hello.streamId
    const acked = this.acked(hello.streamId)
    this.send({ type: "welcome", protocol: PROTOCOL_VERSION, epoch: 1, acked })
  }

  #store({ from, items }: FromRunnerOf<"items">): void {
    this.arrived.push(...items)
    if (!this.acknowledges) return
    const acked = this.acked(this.#streamId)
    if (from > acked + 1) throw new Error(`Items ${acked + 1} to ${from - 1} are missing.`)
    this.items.push(...items.slice(acked + 1 - from))
    const upTo = Math.max(acked, from + items.length - 1)
    this.#acked.set(this.#streamId, upTo)
    if (upTo > 0) this.send({ type: "ack", acked: upTo })
  }
}

function protocolOf(offered: Set<string>): string | false {
  return offered.has(SUBPROTOCOL) && SUBPROTOCOL
}

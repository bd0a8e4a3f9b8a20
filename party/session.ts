import type { Connection } from "partyserver"
import * as z from "zod"
import { roomCallSchema } from "#protocol/call"
import { CLOSE } from "#protocol/close-code"
import { sessionAudience } from "#protocol/token"
import { decodeFromRunner, decodeFromViewer, type Frame } from "./adapter/decode.ts"
import { type Admission, brokerCallSchema } from "./adapter/internal.ts"
import { MessageBudget } from "./adapter/message-budget.ts"
import { postClaimNext, postIngest } from "./adapter/post-to-server.ts"
import { QuietServer } from "./adapter/quiet-server.ts"
import type { Refusal } from "./adapter/refuse-socket.ts"
import { RoomHost } from "./adapter/room-host.ts"
import { RoomStorage } from "./adapter/room-storage.ts"
import { Sockets } from "./adapter/sockets.ts"
import { verifyTicket } from "./adapter/tokens.ts"
import { bindings } from "./env.ts"
import type { Attachment } from "./room/connection.ts"
import type { RoomInput } from "./room/input.ts"

/** The live relay of one session: sockets, storage and clock for the pure room. */
export class Session extends QuietServer {
  static override options = { hibernate: true }
  readonly #budget = new MessageBudget()
  #sockets = new Sockets([])
  #host: RoomHost | undefined
  /** When each runner's socket last said something, apart from pings. */
  readonly #spokeAt = new Map<string, number>()

  protected override start(): void {
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"))
    this.#sockets = new Sockets(this.getConnections<Attachment>())
    this.#host = new RoomHost({
      sessionId: this.name,
      storage: new RoomStorage(this.ctx.storage),
      sockets: this.#sockets,
      post: (post, body) => this.#post(post, body),
      heardAt: (connection) => this.#heardAt(connection),
      setAlarm: (at) => this.#setAlarm(at),
      abandon: (what, error) => this.abandon(what, error),
    })
  }

  protected override connected(
    connection: Connection<Attachment>,
    admission: Admission,
  ): Refusal | null {
    const { id } = connection
    if (admission.as === "viewer") {
      const { userId, grantId, ticketExp, name, role } = admission
      const claims = { sub: userId, jti: grantId, exp: ticketExp, name, role }
      this.#sockets.add(connection, "viewer")
      this.#room.feed({ type: "opened", role: "viewer", connection: id, claims })
    } else if (admission.as === "runner") {
      const claims = { sub: this.name, gen: admission.generation }
      this.#sockets.add(connection, "runner")
      this.#room.feed({ type: "opened", role: "runner", connection: id, claims })
    }
    return this.#sockets.refusalOf(id)
  }

  /** The library looks a socket's attachment up for each message; one that is known here goes straight on. */
  override async webSocketMessage(socket: WebSocket, frame: Frame): Promise<void> {
    if (this.#sockets.whose(socket)) this.#take(socket, frame)
    else await super.webSocketMessage(socket, frame)
  }

  override onMessage(connection: Connection<Attachment>, frame: Frame): void {
    this.#take(connection, frame)
  }

  override onClose({ id }: Connection): void {
    this.#sockets.forget(id)
    this.#budget.forget(id)
    this.#spokeAt.delete(id)
    this.#room.feed({ type: "closed", connection: id })
  }

  override onError(connection: Connection): void {
    this.onClose(connection)
  }

  override onAlarm(): void {
    this.#room.onAlarm()
  }

  protected override async answer(admission: Admission, body: unknown): Promise<Response> {
    switch (admission.as) {
      case "server":
        return this.#answerServer(body)
      case "broker":
        return this.#answerBroker(body, admission.generation)
      default:
        return new Response("Forbidden", { status: 403 })
    }
  }

  async #answerServer(body: unknown): Promise<Response> {
    const parsed = roomCallSchema.safeParse(body)
    if (!parsed.success) return new Response(z.prettifyError(parsed.error), { status: 400 })
    return Response.json(
      await this.#room.ask((replyId) => ({ type: "call", replyId, call: parsed.data })),
    )
  }

  async #answerBroker(body: unknown, generation: number): Promise<Response> {
    const call = brokerCallSchema.parse(body)
    if (call.call === "authorize-model") {
      const claims = { sub: this.name, gen: generation }
      return Response.json(
        await this.#room.ask((replyId) => ({ type: "authorize-model", replyId, claims })),
      )
    }
    this.#room.feed({ type: "usage", usage: call.usage })
    return Response.json({ ok: true })
  }

  get #room(): RoomHost {
    if (!this.#host) throw new Error("The room was used before it started")
    return this.#host
  }

  #take(socket: WebSocket, frame: Frame): void {
    const from = this.#sockets.whose(socket)
    if (from?.role === "runner") this.#takeFromRunner(from.id, frame)
    else if (from) this.#takeFromViewer(from.id, frame)
  }

  #takeFromRunner(connection: string, frame: Frame): void {
    this.#spokeAt.set(connection, Date.now())
    const message = decodeFromRunner(frame)
    if (!message.ok) {
      this.#room.feed({ type: "garbled", connection, message: message.problem })
      return
    }
    const chars = typeof frame === "string" ? frame.length : 0
    this.#room.feed({ type: "runner-said", connection, message: message.value, chars })
  }

  #takeFromViewer(connection: string, frame: Frame): void {
    if (!this.#budget.take(connection, Date.now())) {
      this.#sockets.close(connection, CLOSE.tooMany, "Too many messages; reconnect later.")
      this.#room.feed({ type: "closed", connection })
      return
    }
    const message = decodeFromViewer(frame)
    if (!message.ok) {
      this.#room.feed({ type: "garbled", connection, message: message.problem })
    } else if (message.value.type !== "renew") {
      this.#room.feed({ type: "viewer-said", connection, message: message.value })
    } else {
      void this.#renew(connection, message.value.ticket)
    }
  }

  async #renew(connection: string, ticket: string): Promise<void> {
    const key = bindings(this.env).SERVER_VERIFY_KEY
    const claims = await verifyTicket(ticket, key, sessionAudience(this.name)).catch(() => null)
    this.#room.feed({ type: "renewed", connection, claims })
  }

  async #post(post: "ingest" | "claim-next", body: string): Promise<RoomInput> {
    const config = bindings(this.env)
    const what = { sessionId: this.name, body }
    return post === "ingest"
      ? { type: "posted", post, result: await postIngest(config, what) }
      : { type: "posted", post, result: await postClaimNext(config, what) }
  }

  /** Pings are answered by the platform without waking the room, so both clocks count. */
  #heardAt(id: string): number | null {
    const socket = this.#sockets.get(id)
    if (!socket) return null
    const ping = this.ctx.getWebSocketAutoResponseTimestamp(socket)
    return Math.max(this.#spokeAt.get(id) ?? 0, ping?.getTime() ?? 0)
  }

  #setAlarm(at: number | null): void {
    if (at === null) void this.ctx.storage.deleteAlarm()
    else void this.ctx.storage.setAlarm(at)
  }
}

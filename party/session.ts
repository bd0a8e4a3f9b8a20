import { type Connection, type ConnectionContext, Server } from "partyserver"
import { roomCallSchema } from "#protocol/call"
import { fromRunnerSchema } from "#protocol/runner"
import { sessionAudience } from "#protocol/token"
import { fromViewerSchema } from "#protocol/viewer"
import { z } from "#protocol/zod"
import { type Admission, admissionOf, brokerCallSchema } from "./adapter/internal.ts"
import { postClaimNext, postIngest } from "./adapter/post-to-server.ts"
import { RoomHost } from "./adapter/room-host.ts"
import { RoomStorage } from "./adapter/room-storage.ts"
import { BadToken, verifyTicket } from "./adapter/tokens.ts"
import { bindings, type RoomsEnv } from "./env.ts"
import type { Attachment } from "./room/connection.ts"
import type { RoomInput } from "./room/input.ts"

/** The live relay of one session: sockets, storage and clock for the pure room. */
export class Session extends Server<RoomsEnv> {
  static override options = { hibernate: true }
  readonly #storage = new RoomStorage(this.ctx.storage)
  #host: RoomHost | undefined
  #runnerSpokeAt = 0

  override onStart(): void {
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"))
    this.#host = new RoomHost({
      sessionId: this.name,
      storage: this.#storage,
      now: () => Date.now(),
      socket: (id) => this.#socket(id),
      sockets: () => this.#attachedSockets(),
      post: (post, body) => this.#post(post, body),
      runnerHeardAt: () => this.#runnerHeardAt(),
      setAlarm: (at) => this.#setAlarm(at),
      abandon: (reason) => {
        this.ctx.abort(reason)
        throw new Error(reason)
      },
    })
  }

  get #room(): RoomHost {
    if (!this.#host) throw new Error("The room was used before it started")
    return this.#host
  }

  override onConnect(connection: Connection<Attachment>, { request }: ConnectionContext): void {
    const admission = admissionOf(request)
    if (admission.as === "viewer") {
      const claims = ticketClaims(admission)
      this.#room.feed({ type: "opened", role: "viewer", connection: connection.id, claims })
    } else if (admission.as === "runner") {
      const claims = { sub: this.name, gen: admission.generation }
      this.#room.feed({ type: "opened", role: "runner", connection: connection.id, claims })
    }
  }

  override async onMessage(
    connection: Connection<Attachment>,
    frame: string | ArrayBuffer | ArrayBufferView,
  ): Promise<void> {
    const { id } = connection
    if (connection.state?.role === "runner") {
      this.#runnerSpokeAt = Date.now()
      const message = decode(fromRunnerSchema, frame)
      this.#room.feed(
        message.ok
          ? { type: "runner-said", connection: id, message: message.value, chars: message.chars }
          : { type: "garbled", connection: id, message: message.problem },
      )
      return
    }
    const message = decode(fromViewerSchema, frame)
    if (!message.ok) {
      this.#room.feed({ type: "garbled", connection: id, message: message.problem })
    } else if (message.value.type === "renew") {
      this.#room.feed(await this.#renewed(id, message.value.ticket))
    } else {
      this.#room.feed({ type: "viewer-said", connection: id, message: message.value })
    }
  }

  override onClose(connection: Connection): void {
    this.#room.feed({ type: "closed", connection: connection.id })
  }

  override onError(connection: Connection): void {
    this.#room.feed({ type: "closed", connection: connection.id })
  }

  override onAlarm(): void {
    this.#room.feed({ type: "alarm", runnerHeardAt: this.#runnerHeardAt() })
  }

  override async onRequest(request: Request): Promise<Response> {
    const admission = admissionOf(request)
    const body: unknown = await request.json()
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
    const claims = { sub: this.name, gen: generation }
    if (call.call === "authorize-model") {
      return Response.json(
        await this.#room.ask((replyId) => ({ type: "authorize-model", replyId, claims })),
      )
    }
    this.#room.feed({ type: "usage", usage: call.usage })
    return Response.json({ ok: true })
  }

  async #renewed(connection: string, ticket: string): Promise<RoomInput> {
    const key = bindings(this.env).SERVER_VERIFY_KEY
    try {
      const claims = await verifyTicket(ticket, key, sessionAudience(this.name))
      return { type: "renewed", connection, claims }
    } catch (error) {
      if (error instanceof BadToken) return { type: "renewed", connection, claims: null }
      throw error
    }
  }

  async #post(post: "ingest" | "claim-next", body: string): Promise<RoomInput> {
    const config = bindings(this.env)
    return post === "ingest"
      ? { type: "posted", post, result: await postIngest(config, body) }
      : { type: "posted", post, result: await postClaimNext(config, body) }
  }

  #socket(id: string) {
    const connection = this.getConnection<Attachment>(id)
    return (
      connection && {
        send: (text: string) => connection.send(text),
        close: (code: number, reason: string) => connection.close(code, reason),
        attach: (attachment: Attachment) => {
          connection.setState(attachment)
        },
      }
    )
  }

  #attachedSockets() {
    return [...this.getConnections<Attachment>()].flatMap(({ id, state }) =>
      state ? [{ connection: id, attachment: state }] : [],
    )
  }

  /** The runner's pings are answered by the platform without waking the room, so both clocks count. */
  #runnerHeardAt(): number | null {
    for (const connection of this.getConnections<Attachment>()) {
      if (connection.state?.role !== "runner") continue
      const ping = this.ctx.getWebSocketAutoResponseTimestamp(connection)
      return Math.max(this.#runnerSpokeAt, ping?.getTime() ?? 0)
    }
    return null
  }

  #setAlarm(at: number | null): void {
    if (at === null) void this.ctx.storage.deleteAlarm()
    else void this.ctx.storage.setAlarm(at)
  }
}

function ticketClaims({
  userId,
  grantId,
  ticketExp,
  name,
  role,
}: Extract<Admission, { as: "viewer" }>) {
  return { sub: userId, jti: grantId, exp: ticketExp, name, role }
}

type Decoded<Value> = { ok: true; value: Value; chars: number } | { ok: false; problem: string }

function decode<Schema extends z.ZodType>(
  schema: Schema,
  frame: string | ArrayBuffer | ArrayBufferView,
): Decoded<z.output<Schema>> {
  if (typeof frame !== "string") return { ok: false, problem: "Messages are text." }
  try {
    const parsed = schema.safeParse(JSON.parse(frame))
    if (parsed.success) return { ok: true, value: parsed.data, chars: frame.length }
    return { ok: false, problem: z.prettifyError(parsed.error) }
  } catch {
    return { ok: false, problem: "Messages are JSON." }
  }
}

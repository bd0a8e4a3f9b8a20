import { type Connection, type ConnectionContext, Server } from "partyserver"
import type { RoomsEnv } from "../env.ts"
import { type Admission, admissionOf } from "./internal.ts"
import { log } from "./log.ts"
import { type Refusal, refused } from "./refuse-socket.ts"

/**
 * A partyserver room that says nothing of its insides. The library answers an error with its stack, over HTTP and over
 * the socket; here it goes to the log, and the instance is given up to start again from what it has stored.
 */
export abstract class QuietServer extends Server<RoomsEnv> {
  protected abstract start(): void
  /** Lets a socket in, or says why not. */
  protected abstract connected(connection: Connection, admission: Admission): Refusal | null
  protected abstract answer(admission: Admission, body: unknown): Response | Promise<Response>

  readonly #refusals = new WeakMap<Request, Refusal>()

  /**
   * A socket that the room closes while it opens would keep its client waiting for the end of the connection until the
   * room sleeps; the Worker refuses it instead.
   */
  override async fetch(request: Request): Promise<Response> {
    const response = await super.fetch(request)
    const refusal = this.#refusals.get(request)
    return refusal ? refused(refusal) : response
  }

  override onStart(): void {
    this.guarded("start", () => this.start())
  }

  override onConnect(connection: Connection, { request }: ConnectionContext): void {
    const refusal = this.guarded("connect", () => this.connected(connection, admissionOf(request)))
    if (refusal) this.#refusals.set(request, refusal)
  }

  override async onRequest(request: Request): Promise<Response> {
    const admission = admissionOf(request)
    const body = await jsonOf(request)
    if (body === undefined) return new Response("A call is JSON", { status: 400 })
    try {
      return await this.answer(admission, body)
    } catch (error) {
      return this.abandon("call", error)
    }
  }

  protected guarded<Result>(what: string, act: () => Result): Result {
    try {
      return act()
    } catch (error) {
      return this.abandon(what, error)
    }
  }

  /** Gives this instance up: what it holds in memory may be ahead of what it has stored. */
  protected abandon(what: string, error: unknown): never {
    log("room.failed", { room: this.name, what, error: String(error) })
    this.ctx.abort("The room failed and starts again")
    throw error
  }
}

async function jsonOf(request: Request): Promise<unknown> {
  try {
    return await request.json()
  } catch {
    return undefined
  }
}

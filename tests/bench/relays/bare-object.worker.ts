import { DurableObject } from "cloudflare:workers"

type Env = { Relay: DurableObjectNamespace; FLUSH_MS: string }

/** The least that a stored relay can be on this runtime: no tokens, no numbering per key, no acknowledgement. */
export class Relay extends DurableObject<Env> {
  #waiting: string[] = []
  #flushing = false

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, body TEXT)")
  }

  override fetch(request: Request): Response {
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server, [new URL(request.url).searchParams.get("role") ?? "viewer"])
    return new Response(null, { status: 101, webSocket: client })
  }

  override webSocketMessage(_: WebSocket, message: string): void {
    const events: string[] = JSON.parse(message)
    if (Number(this.env.FLUSH_MS) === 0) for (const event of events) this.#store([event])
    else this.#wait(events)
  }

  #wait(events: string[]): void {
    this.#waiting.push(...events)
    if (this.#flushing) return
    this.#flushing = true
    setTimeout(() => {
      this.#flushing = false
      this.#store(this.#waiting.splice(0))
    }, Number(this.env.FLUSH_MS))
  }

  #store(events: string[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const event of events) {
        this.ctx.storage.sql.exec("INSERT INTO event (body) VALUES (?)", event)
      }
    })
    const frame = JSON.stringify(events)
    for (const viewer of this.ctx.getWebSockets("viewer")) viewer.send(frame)
  }
}

export default {
  fetch(request, env) {
    const room = new URL(request.url).pathname
    return env.Relay.get(env.Relay.idFromName(room)).fetch(request)
  },
} satisfies ExportedHandler<Env>

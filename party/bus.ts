import { type Connection, type ConnectionContext, Server } from "partyserver"
import { busCallSchema } from "#protocol/call"
import { CLOSE } from "#protocol/close-code"
import { LEASE_SECONDS } from "#protocol/limits"
import { PROTOCOL_VERSION } from "#protocol/version"
import type { BusEvent } from "#protocol/viewer"
import { z } from "#protocol/zod"
import { admissionOf } from "./adapter/internal.ts"
import { UsedTickets } from "./adapter/tickets.ts"
import type { RoomsEnv } from "./env.ts"

type Seat = { userId: string; leaseUntilMs: number }

/** A team's bus: tells everybody who watches the session list that a session changed. Keeps nothing. */
export class Bus extends Server<RoomsEnv> {
  static override options = { hibernate: true }
  #tickets = new UsedTickets(this.ctx.storage.sql)

  override onStart(): void {
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"))
  }

  override onConnect(connection: Connection<Seat>, { request }: ConnectionContext): void {
    const admission = admissionOf(request)
    const nowMs = Date.now()
    if (admission.as !== "viewer") {
      connection.close(CLOSE.forbidden, "Only people watch.")
    } else if (!this.#tickets.take(admission.grantId, admission.ticketExp, nowMs / 1000)) {
      connection.close(CLOSE.unauthorized, "The ticket was used before.")
    } else {
      connection.setState({ userId: admission.userId, leaseUntilMs: nowMs + LEASE_SECONDS * 1000 })
      const welcome: BusEvent = { type: "welcome", protocol: PROTOCOL_VERSION }
      connection.send(JSON.stringify(welcome))
    }
  }

  override async onRequest(request: Request): Promise<Response> {
    if (admissionOf(request).as !== "server") return new Response("Forbidden", { status: 403 })
    const parsed = busCallSchema.safeParse(await request.json())
    if (!parsed.success) return new Response(z.prettifyError(parsed.error), { status: 400 })
    const call = parsed.data
    if (call.call === "revoke") this.#revoke(call.subject)
    else this.#tell({ type: "session", sessionId: call.sessionId, ...call.change })
    return Response.json({ ok: true })
  }

  #tell(event: BusEvent): void {
    const frame = JSON.stringify(event)
    const nowMs = Date.now()
    for (const connection of this.getConnections<Seat>()) {
      if ((connection.state?.leaseUntilMs ?? 0) < nowMs) {
        connection.close(CLOSE.unauthorized, "The lease has ended; connect again.")
      } else connection.send(frame)
    }
  }

  #revoke(userId: string): void {
    for (const connection of this.getConnections<Seat>()) {
      if (connection.state?.userId === userId)
        connection.close(CLOSE.forbidden, "Access was revoked.")
    }
  }
}

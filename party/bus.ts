import type { Connection } from "partyserver"
import * as z from "zod"
import { busCallSchema } from "#protocol/call"
import { CLOSE } from "#protocol/close-code"
import { LEASE_SECONDS } from "#protocol/limits"
import { PROTOCOL_VERSION } from "#protocol/version"
import type { BusEvent } from "#protocol/viewer"
import type { Admission } from "./adapter/internal.ts"
import { QuietServer } from "./adapter/quiet-server.ts"
import type { Refusal } from "./adapter/refuse-socket.ts"
import { UsedTickets } from "./adapter/tickets.ts"

type Seat = { userId: string; leaseUntilMs: number }

/** A team's bus: tells everybody who watches the session list that a session changed. Keeps nothing but used tickets. */
export class Bus extends QuietServer {
  static override options = { hibernate: true }
  readonly #tickets = new UsedTickets(this.ctx.storage.sql)

  protected override start(): void {
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"))
  }

  protected override connected(connection: Connection<Seat>, admission: Admission): Refusal | null {
    const nowMs = Date.now()
    if (admission.as !== "viewer") return { code: CLOSE.forbidden, reason: "Only people watch." }
    const { userId, grantId, ticketExp } = admission
    if (!this.#tickets.take(grantId, ticketExp, nowMs / 1000)) {
      return { code: CLOSE.unauthorized, reason: "The ticket was used before: get a new one." }
    }
    connection.setState({ userId, leaseUntilMs: nowMs + LEASE_SECONDS * 1000 })
    send(connection, { type: "welcome", protocol: PROTOCOL_VERSION })
    return null
  }

  protected override answer(admission: Admission, body: unknown): Response {
    if (admission.as !== "server") return new Response("Forbidden", { status: 403 })
    const call = busCallSchema.safeParse(body)
    if (!call.success) return new Response(z.prettifyError(call.error), { status: 400 })
    if (call.data.call === "revoke") this.#revoke(call.data.subject)
    else this.#tell({ type: "session", sessionId: call.data.sessionId, ...call.data.change })
    return Response.json({ ok: true })
  }

  #tell(event: BusEvent): void {
    const nowMs = Date.now()
    for (const connection of this.getConnections<Seat>()) {
      if ((connection.state?.leaseUntilMs ?? 0) > nowMs) send(connection, event)
      else connection.close(CLOSE.unauthorized, "The lease ran out: get a new ticket.")
    }
  }

  #revoke(userId: string): void {
    for (const connection of this.getConnections<Seat>()) {
      if (connection.state?.userId !== userId) continue
      connection.close(CLOSE.forbidden, "Access was revoked.")
    }
  }
}

function send(connection: Connection, event: BusEvent): void {
  try {
    connection.send(JSON.stringify(event))
  } catch {
    // The socket is closing already.
  }
}

import * as z from "zod"
import { CLOSE } from "#protocol/close-code"
import { SUBPROTOCOL } from "#protocol/version"

export type Refusal = { code: number; reason: string }

const refusalSchema = z.object({ code: z.int(), reason: z.string() })
const REFUSED = 403

/** A room's answer to a socket that it does not let in, for the Worker to tell the client. */
export const refused = (refusal: Refusal) => Response.json(refusal, { status: REFUSED })

/** The subprotocols that a client offers, in its order. */
export function offeredProtocols(request: Request): string[] {
  const header = request.headers.get("sec-websocket-protocol") ?? ""
  return header
    .split(",")
    .map((protocol) => protocol.trim())
    .filter(Boolean)
}

/** Accepts and closes at once: a failed handshake would tell the client's code nothing about why. */
export function refuseSocket(request: Request, code: number, reason: string): Response {
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  server.close(code, reason)
  return upgraded(request, client)
}

export const roomUnavailable = (request: Request) =>
  refuseSocket(request, CLOSE.tryAgainLater, "The room is not available now.")

/** What the client gets when a room has answered its request for a socket. */
export async function answerSocket(request: Request, answer: Response): Promise<Response> {
  if (answer.webSocket) return upgraded(request, answer.webSocket)
  if (answer.status !== REFUSED) return roomUnavailable(request)
  const { code, reason } = refusalSchema.parse(await answer.json())
  return refuseSocket(request, code, reason)
}

/** Clients drop a socket whose server names no subprotocol that they offered; the room's library names none. */
function upgraded(request: Request, webSocket: WebSocket): Response {
  const offered = offeredProtocols(request)
  const chosen = offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : offered[0]
  const headers = new Headers(chosen ? { "sec-websocket-protocol": chosen } : {})
  return new Response(null, { status: 101, webSocket, headers })
}

import type { CloseCode } from "#protocol/close-code"
import { SUBPROTOCOL } from "#protocol/version"

/** WebSocket's own "try again later": the peer comes back with backoff. */
const TRY_AGAIN_LATER = 1013

const protocolHeader = { "sec-websocket-protocol": SUBPROTOCOL }

/** Accepts and closes at once: a failed handshake would tell the client's code nothing about why. */
export function refuseSocket(code: CloseCode | typeof TRY_AGAIN_LATER, reason: string): Response {
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  server.close(code, reason)
  return new Response(null, { status: 101, webSocket: client, headers: protocolHeader })
}

export const roomUnavailable = () => refuseSocket(TRY_AGAIN_LATER, "The room is not available now.")

/** The room's library does not name the chosen subprotocol, and browsers drop a socket whose server does not. */
export function withSubprotocol(response: Response): Response {
  if (!response.webSocket) return roomUnavailable()
  return new Response(null, { status: 101, webSocket: response.webSocket, headers: protocolHeader })
}

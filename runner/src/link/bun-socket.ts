import { SUBPROTOCOL } from "#protocol/version"
import type { OpenSocket } from "./socket.ts"

/** Bun's WebSocket, which unlike the standard one sends headers and can terminate. */
export const openBunSocket: OpenSocket = (url, headers, events) => {
  const socket = new WebSocket(url, { headers, protocols: [SUBPROTOCOL] })
  socket.onopen = () => events.opened()
  socket.onmessage = ({ data }) => events.message(String(data))
  socket.onclose = ({ code, reason }) => events.closed(code, reason)
  return {
    send: (text) => void socket.send(text),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  }
}

import WebSocketClient from "ws"
import { SUBPROTOCOL } from "#protocol/version"
import type { OpenSocket } from "../link/socket.ts"

/** The runner's socket on Node, which runs the tests; Bun's takes headers by itself. */
export const openNodeSocket: OpenSocket = (url, headers, events) => {
  const socket = new WebSocketClient(url, [SUBPROTOCOL], { headers })
  socket.on("open", () => events.opened())
  socket.on("message", (data) => events.message(String(data)))
  socket.on("close", (code, reason) => events.closed(code, String(reason)))
  socket.on("error", () => undefined)
  return {
    send: (text) => socket.send(text),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  }
}

import { SUBPROTOCOL } from "#protocol/version"

export type SocketEvents = {
  opened(): void
  message(text: string): void
  /** Also when the connection never opened. */
  closed(code: number, reason: string): void
}

export type Socket = {
  send(text: string): void
  close(code: number, reason: string): void
  /** Lets go at once, without waiting for the peer. */
  terminate(): void
}

export type OpenSocket = (
  url: string,
  headers: Record<string, string>,
  events: SocketEvents,
) => Socket

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

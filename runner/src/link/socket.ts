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

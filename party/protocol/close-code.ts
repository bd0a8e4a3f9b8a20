/** Why a room or the rooms' Worker closes a socket. A client never reconnects by itself on a code marked final. */
export const CLOSE = {
  /** The peer sent something that is not a message of this protocol. Final. */
  badMessage: 4400,
  /** No ticket or token, or one that is expired, used or forged. Get a new ticket, then reconnect. */
  unauthorized: 4401,
  /** The grant was revoked, or the Origin is not allowed. Final. */
  forbidden: 4403,
  /** A newer generation or a newer connection of the same runner took this one's place. Final. */
  superseded: 4409,
  /** The session has ended. Final for runners. */
  ended: 4410,
  /** The peer speaks another protocol version. Reload. */
  wrongVersion: 4426,
  /** WebSocket's own code: the room cannot serve now, or let go of a peer that fell silent. Reconnect with backoff. */
  tryAgainLater: 1013,
  /** WebSocket's own code, sent by the platform before a room sees the message: it is over 32 MiB. Final. */
  tooLarge: 1009,
  /** Too many messages. Reconnect with backoff. */
  tooMany: 4429,
} as const

export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE]

import type { Connection } from "partyserver"
import type { Attachment } from "../room/connection.ts"
import type { Refusal } from "./refuse-socket.ts"

/** A close frame holds at most this much of a reason. */
const MAX_REASON_BYTES = 123

type Role = Attachment["role"]
type Open = { connection: Connection<Attachment>; role: Role }

/**
 * The open sockets of a room by connection id. The platform finds one by searching through all of them, which a frame
 * to a hundred viewers cannot afford. Nothing here throws: a socket that is going away says so by itself.
 */
export class Sockets {
  readonly #open = new Map<string, Open>()
  readonly #ids = new WeakMap<WebSocket, string>()
  #lastClosed: { id: string; refusal: Refusal } | null = null

  /** Takes up what stayed open through hibernation. A socket that was never let in has no attachment. */
  constructor(open: Iterable<Connection<Attachment>>) {
    for (const connection of open) if (connection.state) this.add(connection, connection.state.role)
  }

  add(connection: Connection<Attachment>, role: Role): void {
    this.#open.set(connection.id, { connection, role })
    this.#ids.set(connection, connection.id)
  }

  forget(id: string): void {
    this.#open.delete(id)
  }

  get(id: string): Connection<Attachment> | undefined {
    return this.#open.get(id)?.connection
  }

  /** Who a socket belongs to; undefined once it was closed here. */
  whose(socket: WebSocket): { id: string; role: Role } | undefined {
    const id = this.#ids.get(socket)
    const role = id === undefined ? undefined : this.#open.get(id)?.role
    return id !== undefined && role ? { id, role } : undefined
  }

  /** What each socket kept through hibernation. */
  attached(): { connection: string; attachment: Attachment }[] {
    return [...this.#open.values()].flatMap(({ connection: { id, state } }) =>
      state ? [{ connection: id, attachment: state }] : [],
    )
  }

  send(id: string, text: string): void {
    try {
      this.get(id)?.send(text)
    } catch {
      // The socket is closing already.
    }
  }

  attach(id: string, attachment: Attachment): void {
    const connection = this.get(id)
    if (connection) quietly(() => connection.setState(attachment))
  }

  /** Why the socket that was just added was closed at once; null when it was not. */
  refusalOf(id: string): Refusal | null {
    return this.#lastClosed?.id === id ? this.#lastClosed.refusal : null
  }

  close(id: string, code: number, reason: string): void {
    const connection = this.get(id)
    this.#open.delete(id)
    this.#lastClosed = { id, refusal: { code, reason: fitting(reason) } }
    if (connection) quietly(() => connection.close(code, fitting(reason)))
  }
}

function quietly(act: () => void): void {
  try {
    act()
  } catch {
    // The socket is closing already.
  }
}

/** The beginning of a reason, without a cut character. */
function fitting(reason: string): string {
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(MAX_REASON_BYTES))
  return reason.slice(0, read)
}

import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"

/** Tells a connection by the first bytes that its client sent. */
export type Which = (head: string) => boolean

/** A session's runner's own link. The agent's model calls take the same way to the rooms. */
export const isRunnerLink =
  (sessionId: string): Which =>
  (head) =>
    head.startsWith(`GET /parties/session/${sessionId}`)

type Link = { near: Socket; far: Socket; head: string }

/** A wire between two processes of 127.0.0.1 that can be slow, cut, or swallow everything without closing anything. */
export class TcpProxy {
  readonly port: number
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #holes = new Set<Which>()
  #delayMs = 0

  private constructor(server: Server, port: number, target: number) {
    this.#server = server
    this.port = port
    server.on("connection", (near) => {
      near.on("error", () => undefined)
      near.once("data", (head: Buffer) => this.#join(near, head, target))
    })
  }

  static async start(port: number, target: number): Promise<TcpProxy> {
    const server = createServer().listen(port, "127.0.0.1")
    await once(server, "listening")
    return new TcpProxy(server, port, target)
  }

  /**
   * Bytes of these connections, also of new ones, stay under way until the network heals, as TCP repeats them. Returns
   * what heals it.
   */
  blackHole(which: Which): () => void {
    this.#holes.add(which)
    for (const link of this.#links) this.#flow(link)
    return () => {
      this.#holes.delete(which)
      for (const link of this.#links) this.#flow(link)
    }
  }

  /** Every byte arrives this much later. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  drop(which: Which): void {
    for (const { near, head } of this.#links) if (which(head)) near.destroy()
  }

  close(): void {
    this.#server.close()
    this.drop(() => true)
  }

  #join(near: Socket, head: Buffer, target: number): void {
    const far = connect(target, "127.0.0.1").on("error", () => undefined)
    far.write(head)
    const link = { near, far, head: head.toString("latin1") }
    this.#links.add(link)
    this.#pass(near, far)
    this.#pass(far, near)
    near.on("close", () => this.#links.delete(link))
    this.#flow(link)
  }

  #pass(from: Socket, to: Socket): void {
    const later = (act: () => void) => (this.#delayMs > 0 ? setTimeout(act, this.#delayMs) : act())
    from.on("data", (bytes) => later(() => to.write(bytes)))
    from.on("close", () => later(() => to.destroySoon()))
  }

  #flow({ near, far, head }: Link): void {
    const isSwallowed = [...this.#holes].some((which) => which(head))
    for (const socket of [near, far]) isSwallowed ? socket.pause() : socket.resume()
  }
}

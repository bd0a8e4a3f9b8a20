import { EventEmitter, once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { buffer } from "node:stream/consumers"

/** Generous: a whole stack on a busy machine may have to boot its agent first. */
const CALLED_WITHIN_MS = 30_000

export type UpstreamCall = {
  path: string
  headers: IncomingMessage["headers"]
  body: Buffer
  response: ServerResponse
  /** Resolves when the caller is gone before the answer is complete. */
  abandoned: Promise<void>
}

/** A provider of models whose answers the test writes itself. */
export class StubUpstream {
  readonly url: string
  readonly close: () => Promise<void>
  readonly #calls = new EventEmitter()
  /** Answers each call; by default it is left hanging. */
  answer: (call: UpstreamCall) => void = () => {}

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.close = close
  }

  static async start(): Promise<StubUpstream> {
    const server = createServer((request, response) => void stub.#handle(request, response))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("The server has no port.")
    const stub: StubUpstream = new StubUpstream(`http://127.0.0.1:${address.port}`, async () => {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    })
    return stub
  }

  /** The next call that arrives; ask before the call is made. */
  async nextCall(): Promise<UpstreamCall> {
    const [call] = await once(this.#calls, "call", {
      signal: AbortSignal.timeout(CALLED_WITHIN_MS),
    })
    return call
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abandoned = new Promise<void>((resolve) => {
      response.once("close", () => {
        if (!response.writableEnded) resolve()
      })
    })
    // A caller that leaves takes its request back.
    const body = await buffer(request).catch(() => null)
    if (!body) return
    const call = { path: request.url ?? "", headers: request.headers, body, response, abandoned }
    this.#calls.emit("call", call)
    this.answer(call)
  }
}

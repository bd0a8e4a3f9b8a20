import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { buffer } from "node:stream/consumers"
import { type LogItem, type RoomPostOf, roomPostSchema } from "#protocol/call"
import { SERVER_AUDIENCE } from "#protocol/token"
import type { Claim, Report } from "#protocol/work"
import { isCallSigned } from "../../server/auth/tokens.ts"
import { roomsVerifyKey, type TestKeys } from "./start-rooms.ts"

/** The web server as far as rooms know it: it checks their signature, keeps what they post and hands out claims. */
export class StubServer {
  readonly url: string
  readonly ingests: RoomPostOf<"ingest">[] = []
  /** Newest posted version of each item, by session and number. */
  readonly items = new Map<string, LogItem>()
  /** What the queue of each session holds. */
  readonly claims = new Map<string, Claim>()
  refused = 0
  /** While true, every post is answered 503. */
  isDown = false
  readonly close: () => Promise<void>

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.close = close
  }

  static async start(keys: TestKeys): Promise<StubServer> {
    const server = createServer((request, response) => void stub.#handle(keys, request, response))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("The server has no port.")
    const stub: StubServer = new StubServer(`http://127.0.0.1:${address.port}`, async () => {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    })
    return stub
  }

  reports(): Report[] {
    return [...this.items.values()].flatMap((item) => ("report" in item ? [item.report] : []))
  }

  async #handle(keys: TestKeys, request: IncomingMessage, response: ServerResponse) {
    // A room that is killed leaves its post unfinished.
    const body = await buffer(request).catch(() => null)
    if (!body) return
    const answer = (status: number, json: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json))
    if (this.isDown) return answer(503, {})
    const token = request.headers.authorization?.replace("Bearer ", "") ?? ""
    const call = { audience: SERVER_AUDIENCE, path: request.url ?? "", body }
    if (!(await isCallSigned(roomsVerifyKey(keys), token, call, new Date()))) {
      this.refused += 1
      return answer(401, {})
    }
    const post = roomPostSchema.parse(JSON.parse(body.toString()))
    if (post.post === "claim-next") return answer(200, { claim: this.#take(post.sessionId) })
    this.ingests.push(post)
    for (const item of post.items) this.items.set(`${post.sessionId}:${item.seq}`, item)
    return answer(200, { ingestedSeq: post.to })
  }

  #take(sessionId: string): Claim | null {
    const claim = this.claims.get(sessionId) ?? null
    this.claims.delete(sessionId)
    return claim
  }
}

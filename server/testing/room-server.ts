import type { KeyObject } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import {
  type BusCall,
  busCallSchema,
  type RoomAnswer,
  type RoomCall,
  roomCallSchema,
} from "#protocol/call"
import { ROOMS_AUDIENCE } from "#protocol/token"
import type { AttemptRef } from "#protocol/work"
import { isCallSigned } from "../auth/tokens.ts"

type Room = {
  fence: number
  ended: boolean
  live: (AttemptRef & { generation: number }) | null
  known: Set<string>
  calls: RoomCall[]
}

export type RoomServer = {
  url: string
  /** The calls that a session's room has taken, in order. */
  calls(sessionId: string): RoomCall[]
  busCalls: BusCall[]
  /** While false every request is answered 503. */
  setReachable(reachable: boolean): void
  close(): Promise<void>
}

const nameOf = ({ promptId, attempt }: AttemptRef) => `${promptId}#${attempt}`

/** Stands for the rooms' Worker: checks each signature, and fences, takes claims and stops as a room does. */
export async function startRoomServer(key: KeyObject): Promise<RoomServer> {
  const rooms = new Map<string, Room>()
  const busCalls: BusCall[] = []
  let reachable = true

  const roomOf = (sessionId: string) => {
    const room = rooms.get(sessionId) ?? newRoom()
    rooms.set(sessionId, room)
    return room
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const path = request.url ?? ""
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? ""
    if (!reachable) return void response.writeHead(503).end()
    const call = { audience: ROOMS_AUDIENCE, path, body }
    if (!(await isCallSigned(key, token, call, new Date()))) {
      return void response.writeHead(401).end()
    }
    const [, , party, id = ""] = path.split("/")
    if (party === "bus") {
      busCalls.push(busCallSchema.parse(JSON.parse(body)))
      return void response.end(JSON.stringify({ ok: true }))
    }
    const answer = take(roomOf(id), roomCallSchema.parse(JSON.parse(body)))
    response.end(JSON.stringify(answer))
  }

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls: (sessionId) => roomOf(sessionId).calls,
    busCalls,
    setReachable(next) {
      reachable = next
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

const newRoom = (): Room => ({ fence: 0, ended: false, live: null, known: new Set(), calls: [] })

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function take(room: Room, call: RoomCall): RoomAnswer {
  room.calls.push(call)
  switch (call.call) {
    case "fence":
      return fence(room, call.generation)
    case "run":
      if (call.claim.generation !== room.fence) return refuse("stale-generation")
      room.live = { ...call.claim }
      room.known.add(nameOf(call.claim))
      return { ok: true }
    case "stop":
      return room.known.has(nameOf(call)) ? { ok: true } : refuse("unknown-attempt")
    case "end":
      room.ended = true
      return { ok: true }
    default:
      return { ok: true }
  }
}

function fence(room: Room, generation: number): RoomAnswer {
  if (room.ended) return refuse("ended")
  if (generation < room.fence) return refuse("stale-generation")
  const { live } = room
  room.fence = generation
  const ended =
    live && live.generation < generation
      ? { promptId: live.promptId, attempt: live.attempt, state: "interrupted" }
      : null
  return { ok: true, value: { ended } }
}

const refuse = (reason: string): RoomAnswer => ({
  ok: false,
  error: { reason, message: "The room refuses." },
})

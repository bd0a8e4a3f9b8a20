import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { WebSocket } from "ws"
import { promptIdSchema } from "#protocol/ids"
import { SEEN_EVERY_CHARS } from "#protocol/limits"
import { sessionAudience } from "#protocol/token"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import type { ToViewer } from "#protocol/viewer"
import type { Claim } from "#protocol/work"
import {
  callRoom,
  fence,
  newSessionId,
  type RunningRooms,
  type ServerSigner,
  serverSigner,
  sessionPath,
  startRooms,
  testKeys,
} from "../../integration/start-rooms.ts"
import { startStub } from "./posted-to.ts"
import { type Arrival, eachEvent, eventNumber, type OpenRelay, type Relay } from "./relay.ts"

export type OurRooms = Omit<Relay, "open"> & {
  rooms: RunningRooms
  open: (viewers: number) => Promise<OurRoom>
}

export type OurRoom = OpenRelay & {
  /** Characters that a viewer receives that held everything up to `missed` events ago. */
  charsToReconnect: (missed: number) => Promise<number>
}

const TURN = promptIdSchema.parse("bench")

/** Our rooms in workerd with everything on: tokens, numbering, acknowledgement, posts to the server. */
export async function startOurRooms(arrived: Arrival): Promise<OurRooms> {
  const keys = testKeys()
  const server = await startStub(keys)
  const persistDir = mkdtempSync(join(tmpdir(), "agent-ops-bench-"))
  const rooms = await startRooms({ keys, persistDir, webUrl: server.url })
  return {
    name: "our room",
    batches: true,
    rooms,
    open: (viewers) => openRoom(rooms, serverSigner(keys), viewers, arrived),
    close: async () => {
      await rooms.kill()
      await server.close()
      rmSync(persistDir, { recursive: true, force: true })
    },
  }
}

async function openRoom(
  rooms: RunningRooms,
  signer: ServerSigner,
  viewers: number,
  arrived: Arrival,
): Promise<OurRoom> {
  const sessionId = newSessionId()
  await callRoom(rooms, signer, sessionId, fence(1))
  const url = rooms.url.replace("http", "ws") + sessionPath(sessionId)
  const runner = await openRunner(url, await signer.runnerToken(sessionId))
  await callRoom(rooms, signer, sessionId, { call: "run", claim: CLAIM })
  const counted: Counted = { received: 0, place: { epoch: 0, head: 0 } }
  const sockets = await Promise.all(
    Array.from({ length: viewers }, async (_, viewer) =>
      openViewer(url, await signer.ticket(sessionAudience(sessionId)), counted, (event) =>
        arrived(viewer, event),
      ),
    ),
  )
  let next = 1
  return {
    charsToReconnect: async (missed) =>
      charsToReconnect(url, await signer.ticket(sessionAudience(sessionId)), counted.place, missed),
    send: (events) => {
      const items = events.map((event) => ({
        entry: {
          key: `e${eventNumber(event)}`,
          turnId: TURN,
          kind: "text",
          text: event,
          done: true,
        },
      }))
      runner.send(JSON.stringify({ type: "items", from: next, items }))
      next += items.length
    },
    received: () => counted.received,
    close: () => {
      for (const socket of [...sockets, runner]) socket.terminate()
    },
  }
}

const FRAME = /^\{"type":"frame","from":\d+,"to":(\d+)/

/** Where the newest frame of any viewer ended. */
type Place = { epoch: number; head: number }
type Counted = { received: number; place: Place }

async function openRunner(url: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(url, [SUBPROTOCOL], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  })
  await once(socket, "open")
  const hello = {
    type: "hello",
    protocol: PROTOCOL_VERSION,
    generation: 1,
    streamId: "bench-stream",
  }
  socket.send(JSON.stringify({ ...hello, attempt: null }))
  await once(socket, "message")
  return socket
}

async function openViewer(
  url: string,
  ticket: string,
  counted: Counted,
  arrived: (event: number) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(url, [SUBPROTOCOL, ticket], { perMessageDeflate: false })
  const live = Promise.withResolvers<void>()
  let chars = 0
  let reported = 0
  socket.on("message", (data) => {
    const text = String(data)
    chars += text.length
    counted.received += text.length
    if (chars - reported > SEEN_EVERY_CHARS) {
      reported = chars
      socket.send(JSON.stringify({ type: "seen", received: chars }))
    }
    const frame = FRAME.exec(text)
    if (frame) {
      counted.place.head = Math.max(counted.place.head, Number(frame[1]))
      return eachEvent(text, arrived)
    }
    const message: ToViewer = JSON.parse(text)
    if (message.type === "welcome") {
      counted.place.epoch = message.epoch
      socket.send(JSON.stringify({ type: "hello", protocol: PROTOCOL_VERSION, since: "0" }))
    } else if (message.type === "replay") live.resolve()
  })
  await live.promise
  return socket
}

/** From hello to the frame that brings the viewer to the head. */
async function charsToReconnect(
  url: string,
  ticket: string,
  { epoch, head }: Place,
  missed: number,
): Promise<number> {
  const socket = new WebSocket(url, [SUBPROTOCOL, ticket], { perMessageDeflate: false })
  const done = Promise.withResolvers<number>()
  let chars = 0
  socket.on("message", (data) => {
    const text = String(data)
    chars += text.length
    const message: ToViewer = JSON.parse(text)
    if (message.type === "welcome") {
      const since = `${epoch}:${head - missed}`
      socket.send(JSON.stringify({ type: "hello", protocol: PROTOCOL_VERSION, since }))
    }
    if (message.type === "resync") done.reject(new Error("The room no longer holds so much."))
    if (message.type === "frame" && message.to >= head) done.resolve(chars)
  })
  const result = await done.promise
  socket.terminate()
  return result
}

const CLAIM: Claim = {
  promptId: TURN,
  attempt: 1,
  generation: 1,
  turnId: TURN,
  text: "bench",
  author: { id: "usr_00000001", name: "Ada" },
  attachments: [],
  model: "scripted/demo",
  agent: "build",
  deadlines: { acceptMs: 600_000, startMs: 600_000, silenceMs: 600_000, turnMs: 3_600_000 },
}

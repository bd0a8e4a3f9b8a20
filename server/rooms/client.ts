import type { KeyObject } from "node:crypto"
import { type BusCall, type RoomAnswer, type RoomCall, roomAnswerSchema } from "#protocol/call"
import { ROOMS_AUDIENCE } from "#protocol/token"
import { signCall } from "../auth/tokens.ts"
import { ROOM_UNREACHABLE, type RoomsPort } from "./port.ts"

/** Failure reason of an answer that was no room's: wrong keys, another version, not our Worker. */
export const ROOM_REFUSED = "room-refused"

type Rooms = {
  /** Origin by which this server reaches the rooms. */
  url: string
  key: KeyObject
  now(): Date
}

/** Calls rooms over HTTP. Connections are kept alive by the process's own agent. */
export function roomsClient({ url, key, now }: Rooms): RoomsPort {
  async function post(path: string, call: RoomCall | BusCall, withinMs: number) {
    const body = JSON.stringify(call)
    const token = await signCall(key, { audience: ROOMS_AUDIENCE, path, body }, now())
    try {
      const response = await fetch(new URL(path, url), {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body,
        redirect: "error",
        signal: AbortSignal.timeout(withinMs),
      })
      return readAnswer(response.status, await response.text())
    } catch (error) {
      return failure(ROOM_UNREACHABLE, `The room was not reached within ${withinMs} ms: ${error}.`)
    }
  }

  return {
    call: (sessionId, call, { withinMs }) =>
      post(`/parties/session/${encodeURIComponent(sessionId)}`, call, withinMs),
    callBus: (teamId, call, { withinMs }) =>
      post(`/parties/bus/${encodeURIComponent(teamId)}`, call, withinMs),
  }
}

function readAnswer(status: number, text: string): RoomAnswer {
  if (status >= 500 || status === 429) {
    return failure(ROOM_UNREACHABLE, `The room answered ${status}.`)
  }
  const answer = status === 200 ? parse(text) : null
  return answer ?? failure(ROOM_REFUSED, `The room refused the call with ${status}.`)
}

function parse(text: string): RoomAnswer | null {
  try {
    return roomAnswerSchema.safeParse(JSON.parse(text)).data ?? null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function failure(reason: string, message: string): RoomAnswer {
  return { ok: false, error: { reason, message } }
}

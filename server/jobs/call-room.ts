import type { BusCall, RoomAnswer, RoomCall } from "#protocol/call"
import { ROOM_REFUSED } from "../rooms/client.ts"
import { ROOM_UNREACHABLE } from "../rooms/port.ts"
import type { JobContext } from "./context.ts"

const CALL_DEADLINE_MS = 5_000

/** The room was not reached, or something else answered in its place: the job is tried again. */
export class RoomUnreachable extends Error {
  constructor(message: string) {
    super(message)
    this.name = "RoomUnreachable"
  }
}

/** The room's own answer, yes or no; throws {@link RoomUnreachable} for anything else. */
export async function callRoom(
  { rooms }: Pick<JobContext, "rooms">,
  sessionId: string,
  call: RoomCall,
): Promise<RoomAnswer> {
  return reached(await rooms.call(sessionId, call, { withinMs: CALL_DEADLINE_MS }))
}

export async function callBus(
  { rooms }: Pick<JobContext, "rooms">,
  teamId: string,
  call: BusCall,
): Promise<RoomAnswer> {
  return reached(await rooms.callBus(teamId, call, { withinMs: CALL_DEADLINE_MS }))
}

function reached(answer: RoomAnswer): RoomAnswer {
  if (answer.ok) return answer
  const { reason, message } = answer.error
  if (reason === ROOM_UNREACHABLE || reason === ROOM_REFUSED) throw new RoomUnreachable(message)
  return answer
}

import type { BusCall, RoomAnswer, RoomCall } from "#protocol/call"

/** Failure reason of an answer that stands for "the room was not reached in time"; nobody knows whether it heard. */
export const ROOM_UNREACHABLE = "room-unreachable"

/**
 * Signed calls to rooms. Network trouble is an answer (`ok: false`, reason {@link ROOM_UNREACHABLE}), never a throw,
 * because every caller has to choose what it means.
 */
export interface RoomsPort {
  call(sessionId: string, call: RoomCall, options: { withinMs: number }): Promise<RoomAnswer>
  callBus(teamId: string, call: BusCall, options: { withinMs: number }): Promise<RoomAnswer>
}

import type { BusCall, RoomAnswer, RoomCall } from "#protocol/call"
import type { RoomsPort } from "../rooms/port.ts"

/** Rooms that write down every call and answer what the test says: `ok` unless `answer` is replaced. */
export class RecordingRooms implements RoomsPort {
  readonly calls: ({ sessionId: string } & RoomCall)[] = []
  readonly busCalls: ({ teamId: string } & BusCall)[] = []
  answer: (call: RoomCall) => RoomAnswer = () => ({ ok: true })

  call(sessionId: string, call: RoomCall): Promise<RoomAnswer> {
    this.calls.push({ sessionId, ...call })
    return Promise.resolve(this.answer(call))
  }

  callBus(teamId: string, call: BusCall): Promise<RoomAnswer> {
    this.busCalls.push({ teamId, ...call })
    return Promise.resolve({ ok: true })
  }

  /** The calls of one name, in order. */
  named(name: RoomCall["call"]) {
    return this.calls.filter(({ call }) => call === name)
  }
}

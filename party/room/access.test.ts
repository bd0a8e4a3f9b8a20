import { expect, test } from "vitest"
import type { RoomAnswer } from "../protocol/call.ts"
import { CLOSE } from "../protocol/close-code.ts"
import {
  fence,
  RunnerHand,
  readyRoom,
  runningRoom,
  storedPrompt,
  ViewerHand,
} from "./testing/hands.ts"
import { claimOf, runnerOf } from "./testing/samples.ts"
import { World } from "./testing/world.ts"

const one = claimOf("one")
const reason = { reason: "ended-by-person", message: "Ada ended this session." }

function authorize(room: World, generation: number): RoomAnswer | undefined {
  const replyId = room.newId("reply")
  room.input({ type: "authorize-model", replyId, claims: runnerOf(generation) })
  return room.replies.get(replyId)
}

test("[D9][R26] a fence ends the live attempt once and answers the same when repeated", () => {
  const { room, runner } = runningRoom(one)
  const answer = fence(room, 2)
  const head = room.state.storedHead

  expect(answer).toEqual({
    ok: true,
    value: { ended: { promptId: "one", attempt: 1, state: "interrupted" } },
  })
  expect(runner.socket.closed?.code).toBe(CLOSE.superseded)
  expect(fence(room, 2)).toEqual(answer)
  room.crash()
  expect(fence(room, 2)).toEqual(answer)
  expect(room.state.storedHead).toBe(head)
})

test("[D9][R26] the fence's answer and the runner's end name the first of the two", () => {
  const { room, runner } = runningRoom(one)
  const ref = { promptId: one.promptId, attempt: 1 }
  runner.send({ type: "attempt.ended", ...ref, state: "failed", error: null })

  expect(fence(room, 2)).toEqual({ ok: true, value: { ended: { ...ref, state: "failed" } } })
  expect(storedPrompt(room, "one").state).toBe("failed")
})

test("[D9][R26] an attempt that was to stop is fenced as stopped", () => {
  const { room } = runningRoom(one)
  room.call({ call: "stop", promptId: one.promptId, attempt: 1 })
  fence(room, 2)

  expect(storedPrompt(room, "one").state).toBe("stopped")
})

test("[D9][R26] the first fence has nothing to end, an older one is refused", () => {
  const room = new World()
  expect(fence(room, 2)).toEqual({ ok: true, value: { ended: null } })
  expect(fence(room, 1)).toMatchObject({ ok: false, error: { reason: "stale-generation" } })
})

test("[A2][R51] a revocation closes the sockets of that person or grant and no others", () => {
  const room = new World()
  const ada = [new ViewerHand(room, { jti: "grant-a" }), new ViewerHand(room, { jti: "grant-b" })]
  const bob = new ViewerHand(room, { sub: "usr_bob00000", jti: "grant-c" })
  const codes = () => [...ada, bob].map(({ socket }) => socket.closed?.code)

  room.call({ call: "revoke", subject: null, grantId: "grant-b" })
  expect(codes()).toEqual([undefined, CLOSE.forbidden, undefined])
  const answer = room.call({ call: "revoke", subject: "usr_ada00000", grantId: null })
  expect(answer).toEqual({ ok: true, value: { closed: 1 } })
  expect(codes()).toEqual([CLOSE.forbidden, CLOSE.forbidden, undefined])
  room.call({ call: "revoke", subject: null, grantId: null })
  expect(bob.socket.closed).toBeNull()
})

test("[D9][R52] the end of a session ends its attempt and its runner; viewers may still read", () => {
  const { room, runner } = runningRoom(one)
  const answer = room.call({ call: "end", reason })

  expect(answer).toMatchObject({ ok: true, value: { ended: { state: "interrupted" } } })
  expect(room.call({ call: "end", reason })).toEqual(answer)
  expect(runner.socket.closed?.code).toBe(CLOSE.ended)
  room.crash()
  expect(new RunnerHand(room).socket.closed?.code).toBe(CLOSE.ended)
  expect(new ViewerHand(room).hello().heard()).toContainEqual(
    expect.objectContaining({ type: "replay", runner: "absent" }),
  )
  expect(fence(room, 2)).toMatchObject({ ok: false, error: { reason: "ended" } })
})

test("[R53] models are for the fenced generation of a running session, on the live attempt's account", () => {
  const { room } = readyRoom()
  expect(authorize(room, 1)).toEqual({ ok: true, value: { attempt: null } })
  room.call({ call: "run", claim: one })
  const attempt = { promptId: "one", attempt: 1 }
  expect(authorize(room, 1)).toEqual({ ok: true, value: { attempt } })

  fence(room, 2)
  expect(authorize(room, 1)).toMatchObject({ ok: false, error: { reason: "stale-generation" } })
  room.call({ call: "end", reason })
  expect(authorize(room, 2)).toMatchObject({ ok: false, error: { reason: "ended" } })
  expect(authorize(new World(), 1)).toMatchObject({ ok: false })
})

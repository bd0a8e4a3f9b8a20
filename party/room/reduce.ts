import type { RoomCall } from "../protocol/call.ts"
import { CLOSE } from "../protocol/close-code.ts"
import type { Failure } from "../protocol/entry.ts"
import { authorizeModel, end, fence, revoke } from "./access.ts"
import { appendReport, flushSoon } from "./append.ts"
import { ask } from "./asks.ts"
import { checkDeadlines, setTimers } from "./deadlines.ts"
import { assign, stopAttempt, wantClaim } from "./dispatch.ts"
import type { Effect } from "./effects.ts"
import { flush } from "./flush.ts"
import { postDue, takePosted } from "./ingest.ts"
import type { RoomInput, RoomInputOf } from "./input.ts"
import { tellOutage } from "./outage.ts"
import { takeFromRunner } from "./outbox.ts"
import { readThrough } from "./read-through.ts"
import type { RoomReader } from "./reader.ts"
import { restore } from "./restore.ts"
import { loseRunner, openRunner } from "./runner-link.ts"
import type { RoomState } from "./state.ts"
import { takeStatus } from "./status.ts"
import { accept, close, forget, refuse, type Step } from "./step.ts"
import { openViewer, renewViewer, takeFromViewer } from "./viewers.ts"

/**
 * Decides what follows from one input. Deterministic given its arguments; `now` is milliseconds since 1970. For speed
 * the given state is changed in place and returned: only the newest state of a room is ever of use.
 */
export function reduce(
  state: RoomState,
  input: RoomInput,
  now: number,
  reader: RoomReader,
): { state: RoomState; effects: Effect[] } {
  const step: Step = { state, now, reader: readThrough(reader), effects: [] }
  take(step, input)
  if (state.runner !== null && !state.connections.has(state.runner)) loseRunner(step)
  if (state.pending.presence) flushSoon(step)
  if (state.flushDueAt !== null && state.flushDueAt <= now) flush(step)
  postDue(step)
  tellOutage(step)
  setTimers(step)
  return { state, effects: step.effects }
}

function take(step: Step, input: RoomInput) {
  switch (input.type) {
    case "restored":
      return restore(step, input)
    case "opened":
      return input.role === "viewer" ? openViewer(step, input) : openRunner(step, input)
    case "runner-said":
    case "viewer-said":
    case "renewed":
    case "garbled":
    case "closed":
      return takeFromConnection(step, input)
    case "call":
      return takeCall(step, input.replyId, input.call)
    case "authorize-model":
      return authorizeModel(step, input)
    case "usage":
      appendReport(step, input.usage)
      // The broker forgets the call once it is answered.
      return flush(step)
    case "posted":
      return takePosted(step, input)
    case "alarm":
      step.state.alarmAt = null
      return checkDeadlines(step, input.runnerHeardAt)
    case "tick":
      step.state.tickAt = null
      return checkDeadlines(step, input.runnerHeardAt)
    default:
      input satisfies never
  }
}

/** What a connection says after the room has forgotten it is not heard. */
function takeFromConnection(
  step: Step,
  input: RoomInputOf<"runner-said" | "viewer-said" | "renewed" | "garbled" | "closed">,
) {
  const connection = step.state.connections.get(input.connection)
  if (!connection) return
  switch (input.type) {
    case "runner-said":
      if (connection.role !== "runner") return
      return takeFromRunner(step, connection, input.message, input.chars)
    case "viewer-said":
      return connection.role === "viewer"
        ? takeFromViewer(step, connection, input.message)
        : undefined
    case "renewed":
      return connection.role === "viewer" ? renewViewer(step, connection, input.claims) : undefined
    case "garbled":
      return close(step, connection.id, CLOSE.badMessage, input.message)
    case "closed":
      return forget(step, connection.id)
    default:
      input satisfies never
  }
}

function takeCall(step: Step, replyId: string, call: RoomCall) {
  switch (call.call) {
    case "fence":
      return fence(step, replyId, call)
    case "run":
      return answer(step, replyId, assign(step, call.claim))
    case "pull":
      wantClaim(step)
      return accept(step, replyId)
    case "stop":
      return answer(step, replyId, stopAttempt(step, call) ? null : UNKNOWN_ATTEMPT)
    case "status":
      return takeStatus(step, replyId, call.changes)
    case "revoke":
      return revoke(step, replyId, call)
    case "ask":
      return ask(step, replyId, call)
    case "end":
      return end(step, replyId, call)
    default:
      call satisfies never
  }
}

const UNKNOWN_ATTEMPT: Failure = {
  reason: "unknown-attempt",
  message: "This attempt has not arrived in the room yet.",
}

function answer(step: Step, replyId: string, failure: Failure | null) {
  if (failure) return refuse(step, replyId, failure.reason, failure.message)
  flush(step)
  accept(step, replyId)
}

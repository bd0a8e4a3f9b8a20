import type { RoomCallOf } from "../protocol/call.ts"
import { CLOSE } from "../protocol/close-code.ts"
import type { Failure } from "../protocol/entry.ts"
import { giveUpAttempt } from "./dispatch.ts"
import type { ModelPermit } from "./effects.ts"
import { flush } from "./flush.ts"
import { ingestNow } from "./ingest-due.ts"
import type { RoomInputOf } from "./input.ts"
import { goOnFrom } from "./numbering.ts"
import { dropRunners } from "./runner-link.ts"
import { accept, close, refuse, type Step } from "./step.ts"
import { lastOutcome, liveWork, refOf } from "./work.ts"

/** From now on only `generation` may speak. Repeating a fence answers the same. */
export function fence(step: Step, replyId: string, call: RoomCallOf<"fence">) {
  const { meta } = step.state
  if (meta.ended) return refuse(step, replyId, "ended", "This session is over.")
  if (call.generation < meta.fence.generation) {
    return refuse(step, replyId, "stale-generation", "A newer sandbox took over this session.")
  }
  if (call.generation > meta.fence.generation) {
    flush(step)
    goOnFrom(step, call.known)
    meta.fence.teamId = call.teamId
    fenceTo(step, call.generation, call.reason)
  }
  accept(step, replyId, { ended: meta.fence.ended })
}

/** Ends what an older generation has in hand and refuses its runner. */
export function fenceTo(step: Step, generation: number, reason: Failure): void {
  const { state } = step
  giveUpAttempt(step, reason)
  state.meta.fence = { ...state.meta.fence, generation, ended: lastOutcome(state) }
  state.dirty.add("fence")
  flush(step)
  ingestNow(step)
  dropRunners(step, CLOSE.superseded, "a newer sandbox took over this session")
}

/** The session is over: its runner and model tokens stop working, viewers may still read. */
export function end(step: Step, replyId: string, { reason }: RoomCallOf<"end">): void {
  const { state } = step
  if (!state.meta.ended) {
    giveUpAttempt(step, reason)
    state.meta.ended = reason
    state.dirty.add("ended")
    flush(step)
    ingestNow(step)
    dropRunners(step, CLOSE.ended, "the session has ended")
  }
  accept(step, replyId, { ended: lastOutcome(state) })
}

/** Closes the sockets of one person, of one grant, or of that grant of that person. */
export function revoke(
  step: Step,
  replyId: string,
  { subject, grantId }: RoomCallOf<"revoke">,
): void {
  let closed = 0
  for (const connection of step.state.connections.values()) {
    if (connection.role !== "viewer") continue
    const isMeant =
      (subject !== null || grantId !== null) &&
      (subject === null || subject === connection.subject) &&
      (grantId === null || grantId === connection.grantId)
    if (!isMeant) continue
    close(step, connection.id, CLOSE.forbidden, "access was revoked")
    closed += 1
  }
  accept(step, replyId, { closed })
}

/** Whether a sandbox may call a model now, and for which attempt. */
export function authorizeModel(step: Step, input: RoomInputOf<"authorize-model">) {
  const { replyId, claims } = input
  const { ended, fence: fenced } = step.state.meta
  if (ended) return refuse(step, replyId, "ended", "This session is over.")
  if (claims.gen !== fenced.generation || fenced.teamId === null) {
    return refuse(step, replyId, "stale-generation", "Another sandbox runs this session.")
  }
  const live = liveWork(step.state)
  const permit: ModelPermit = { attempt: live ? refOf(live.claim) : null }
  accept(step, replyId, permit)
}

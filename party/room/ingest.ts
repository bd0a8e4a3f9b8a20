import { MAX_MESSAGE_CHARS } from "../protocol/limits.ts"
import { fenceTo } from "./access.ts"
import { assign } from "./dispatch.ts"
import { type Drop, flush } from "./flush.ts"
import { recovered, retryLater } from "./ingest-due.ts"
import type { PostResult, RoomInputOf } from "./input.ts"
import type { RoomState } from "./state.ts"
import { note, type Step } from "./step.ts"
import { liveWork, runnerIsReady } from "./work.ts"

/** So many of the newest numbers stay here for viewers that come back, after PostgreSQL has them. */
export const TAIL_SEQS = 2_000

/** Sends what is due and allowed: at most one post of each kind is under way. */
export function postDue(step: Step): void {
  const { state, now } = step
  const { ingest, claim, meta } = state
  const { generation } = meta.fence
  if (canIngest(state) && isDue(ingest.dueAt, now)) {
    // What waits for the next flush keeps its due time.
    if (meta.log.head === state.storedHead) ingest.dueAt = null
    ingest.underway = true
    const { epoch, ingestedSeq: from } = meta.log
    const head = state.storedHead
    const maxChars = MAX_MESSAGE_CHARS
    step.effects.push({ effect: "post", post: "ingest", epoch, generation, from, head, maxChars })
  }
  // Of a claim that is not wanted any more nobody would learn that its failure is over.
  if (!canClaim(state)) {
    if (!claim.underway) recovered(claim)
  } else if (isDue(claim.dueAt, now)) {
    claim.dueAt = null
    claim.underway = true
    step.effects.push({ effect: "post", post: "claim-next", generation })
  }
}

/** After a restart nothing is under way: what is not confirmed is posted again. */
export function resumeIngest(step: Step): void {
  if (hasBacklog(step.state)) step.state.ingest.dueAt = step.now
}

export function hasBacklog({ storedHead, meta }: RoomState): boolean {
  return storedHead > meta.log.ingestedSeq
}

export function canIngest(state: RoomState): boolean {
  return !state.ingest.underway && hasBacklog(state) && state.meta.fence.generation > 0
}

/** Only an idle, ready runner whose last attempt PostgreSQL has confirmed as ended may have the next one (D10). */
export function canClaim(state: RoomState): boolean {
  const { work, log } = state.meta
  const confirmed = work?.phase !== "ended" || work.seq <= log.ingestedSeq
  return !state.claim.underway && runnerIsReady(state) && liveWork(state) === null && confirmed
}

export function takePosted(step: Step, input: RoomInputOf<"posted">): void {
  if (input.post === "ingest") takeIngested(step, input.result)
  else takeClaimed(step, input)
}

function takeIngested(step: Step, result: PostResult<{ ingestedSeq: number }>) {
  const { ingest, meta, storedHead } = step.state
  ingest.underway = false
  if (!result.ok) return failed(step, "ingest", result)
  const ingestedSeq = Math.min(result.ingestedSeq, storedHead)
  // An answer that confirms nothing would be asked for again at once, for ever.
  if (ingestedSeq <= meta.log.ingestedSeq) {
    return failed(step, "ingest", { ok: false, reason: "nothing-stored", stale: null })
  }

  recovered(ingest)
  // Nothing new came while it was under way, so what is left did not fit into the batch.
  if (ingestedSeq < storedHead) ingest.dueAt ??= step.now
  meta.log.ingestedSeq = ingestedSeq
  step.state.dirty.add("log")
  flush(step, compact(step.state))
}

function takeClaimed(step: Step, { result }: RoomInputOf<"posted"> & { post: "claim-next" }) {
  const { claim } = step.state
  claim.underway = false
  if (!result.ok) return failed(step, "claim", result)
  recovered(claim)
  if (result.claim === null) return
  const refusal = assign(step, result.claim)
  if (refusal) note(step, "claim-refused", { reason: refusal.reason })
}

type Failed = Extract<PostResult<object>, { ok: false }>

const SUPERSEDED = {
  reason: "superseded",
  message: "A newer sandbox took over this session. What came is kept, retry or go on.",
}

/** A stale answer tells of a newer generation: this room was passed over and gives its runner up (D9). */
function failed(step: Step, post: "ingest" | "claim", { reason, stale }: Failed): void {
  const { state } = step
  retryLater(state[post], reason, step.now)
  if (!stale || stale.generation <= state.meta.fence.generation) return
  fenceTo(step, stale.generation, stale.reason ?? SUPERSEDED)
  recovered(state[post])
  state[post].dueAt = step.now
}

/** Bodies that PostgreSQL has and that are older than the tail go; so do all reports that it has. */
function compact({ meta }: RoomState): Drop {
  const { log } = meta
  const after = log.tail
  const upTo = Math.min(log.ingestedSeq, log.head - TAIL_SEQS)
  const dropReportsUpTo = log.ingestedSeq
  if (upTo <= after) return { dropBodies: null, dropReportsUpTo }
  log.tail = upTo
  return { dropBodies: { after, upTo }, dropReportsUpTo }
}

const isDue = (dueAt: number | null, now: number) => dueAt !== null && dueAt <= now

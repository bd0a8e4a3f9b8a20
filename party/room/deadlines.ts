import { PING_INTERVAL_MS, RUNNER_SILENCE_MS } from "../protocol/limits.ts"
import { expireAsks } from "./asks.ts"
import { canClaim, canIngest, hasBacklog } from "./ingest.ts"
import { askForAcceptance, patienceTimes } from "./patience.ts"
import { checkLink } from "./runner-link.ts"
import type { RoomState } from "./state.ts"
import type { Step } from "./step.ts"
import { liveWork } from "./work.ts"

/** Should the process die with a backlog, the room is woken this much later to post it. */
const BACKLOG_ALARM_MS = 10_000

/**
 * Setting an alarm is one more write, in front of everything that is sent in the same step. With a runner connected it
 * waits: should the process die meanwhile, the runner comes back and wakes the room. Most needs are over before.
 */
const ALARM_WAITS_MS = 1_000

/** What time alone brings about. */
export function checkDeadlines(step: Step, runnerHeardAt: number | null): void {
  askForAcceptance(step)
  checkLink(step, runnerHeardAt)
  expireAsks(step)
}

/** Sets the timer and the alarm where they changed. An idle room has neither (A4). */
export function setTimers(step: Step): void {
  const { state, effects } = step
  setAlarm(step)
  const tickAt = earliest(tickTimes(state))
  if (tickAt !== null && tickAt !== state.tickAt) effects.push({ effect: "tickAt", at: tickAt })
  state.tickAt = tickAt
}

function setAlarm({ state, effects, now }: Step): void {
  const alarmAt = earliest(alarmTimes(state, now))
  if (alarmAt === null) {
    if (state.alarmAt !== null) effects.push({ effect: "noAlarm" })
    state.alarmAt = null
    state.alarmWaitsUntil = null
    return
  }
  // A later alarm is not set: the earlier one comes, finds nothing due and sets the next.
  if (state.alarmAt !== null && state.alarmAt <= alarmAt) {
    state.alarmWaitsUntil = null
    return
  }
  const waitsUntil = state.alarmWaitsUntil ?? now + ALARM_WAITS_MS
  const waits = state.runner !== null && now < waitsUntil && waitsUntil < alarmAt
  state.alarmWaitsUntil = waits ? waitsUntil : null
  if (waits) return
  effects.push({ effect: "alarmAt", at: alarmAt })
  state.alarmAt = alarmAt
}

function tickTimes(state: RoomState): (number | null)[] {
  const { flushDueAt, ingest, claim, alarmWaitsUntil } = state
  return [
    flushDueAt,
    canIngest(state) ? ingest.dueAt : null,
    canClaim(state) ? claim.dueAt : null,
    alarmWaitsUntil,
  ]
}

function alarmTimes(state: RoomState, now: number): (number | null)[] {
  const { runner, runnerHeardAt } = state
  // Without a runner the link is lost already, and patience can end nothing.
  const watched = liveWork(state) !== null && runner !== null
  const silentAt = runnerHeardAt + RUNNER_SILENCE_MS
  return [
    ...state.asks.values(),
    ...(watched ? patienceTimes(state, now) : []),
    watched ? (silentAt > now ? silentAt : now + PING_INTERVAL_MS) : null,
    hasBacklog(state) && state.meta.fence.generation > 0 ? now + BACKLOG_ALARM_MS : null,
  ]
}

function earliest(times: (number | null)[]): number | null {
  const set = times.filter((time) => time !== null)
  return set.length === 0 ? null : Math.min(...set)
}

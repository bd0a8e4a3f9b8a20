import { PING_INTERVAL_MS, RUNNER_SILENCE_MS } from "../protocol/limits.ts"
import { expireAsks } from "./asks.ts"
import { checkAcceptance } from "./dispatch.ts"
import { canClaim, canIngest, hasBacklog } from "./ingest.ts"
import { checkLink } from "./runner-link.ts"
import type { RoomState } from "./state.ts"
import type { Step } from "./step.ts"
import { liveWork } from "./work.ts"

/** Should the process die with a backlog, the room is woken this much later to post it. */
const BACKLOG_ALARM_MS = 10_000

/** What time alone brings about. */
export function checkDeadlines(step: Step, runnerHeardAt: number | null): void {
  checkAcceptance(step)
  checkLink(step, runnerHeardAt)
  expireAsks(step)
}

/** Sets the timer and the alarm where they changed. An idle room has neither (A4). */
export function setTimers(step: Step): void {
  const { state, effects, now } = step
  const tickAt = earliest(tickTimes(state))
  if (tickAt !== null && tickAt !== state.tickAt) effects.push({ effect: "tickAt", at: tickAt })
  state.tickAt = tickAt

  const alarmAt = earliest(alarmTimes(state, now))
  if (alarmAt === null) {
    if (state.alarmAt !== null) effects.push({ effect: "noAlarm" })
    state.alarmAt = null
  } else if (state.alarmAt === null || alarmAt < state.alarmAt) {
    // A later alarm is not set: the earlier one comes, finds nothing due and sets the next.
    effects.push({ effect: "alarmAt", at: alarmAt })
    state.alarmAt = alarmAt
  }
}

function tickTimes(state: RoomState): (number | null)[] {
  const { flushDueAt, ingest, claim } = state
  return [flushDueAt, canIngest(state) ? ingest.dueAt : null, canClaim(state) ? claim.dueAt : null]
}

function alarmTimes(state: RoomState, now: number): (number | null)[] {
  const live = liveWork(state) !== null
  const { acceptance, runner, runnerHeardAt } = state
  const silentAt = runnerHeardAt + RUNNER_SILENCE_MS
  return [
    ...state.asks.values(),
    live && acceptance && !acceptance.overdue ? acceptance.dueAt : null,
    live && runner !== null ? (silentAt > now ? silentAt : now + PING_INTERVAL_MS) : null,
    hasBacklog(state) && state.meta.fence.generation > 0 ? now + BACKLOG_ALARM_MS : null,
  ]
}

function earliest(times: (number | null)[]): number | null {
  const set = times.filter((time) => time !== null)
  return set.length === 0 ? null : Math.min(...set)
}

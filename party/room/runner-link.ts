import { CLOSE } from "../protocol/close-code.ts"
import { RUNNER_SILENCE_MS } from "../protocol/limits.ts"
import type { FromRunnerOf } from "../protocol/runner.ts"
import { PROTOCOL_VERSION } from "../protocol/version.ts"
import type { RunnerLink } from "../protocol/viewer.ts"
import { appendReport } from "./append.ts"
import { failAsks } from "./asks.ts"
import type { Runner } from "./connection.ts"
import { resumeWork } from "./dispatch.ts"
import type { EffectOf } from "./effects.ts"
import { flush } from "./flush.ts"
import { ingestNow } from "./ingest-due.ts"
import type { RoomInputOf } from "./input.ts"
import { isOverdue } from "./patience.ts"
import { broadcastNews } from "./send.ts"
import type { RoomState } from "./state.ts"
import { close, note, type Step, toRunner } from "./step.ts"
import { liveWork, refOf } from "./work.ts"

type OpenedRunner = Extract<RoomInputOf<"opened">, { role: "runner" }>

/** Only the fenced generation may speak, and only until the session ends. */
export function openRunner(step: Step, { connection: id, claims }: OpenedRunner) {
  const { meta, connections } = step.state
  if (meta.ended) return close(step, id, CLOSE.ended, "the session has ended")
  if (claims.gen < meta.fence.generation) {
    return close(step, id, CLOSE.superseded, "a newer sandbox took over this session")
  }
  // The server made this generation but its fence did not arrive here: it will.
  if (claims.gen > meta.fence.generation) {
    return close(step, id, CLOSE.tryAgainLater, "the room was not fenced to this generation yet")
  }
  const attachment = { role: "runner", generation: claims.gen, hello: false } as const
  connections.set(id, { ...attachment, id })
  step.effects.push({ effect: "attach", connection: id, attachment })
}

/** A runner that says hello speaks for its generation from now on; an older connection of it is closed. */
export function helloRunner(step: Step, runner: Runner, hello: FromRunnerOf<"hello">) {
  const { state } = step
  if (hello.protocol !== PROTOCOL_VERSION) {
    return close(
      step,
      runner.id,
      CLOSE.wrongVersion,
      `this room speaks version ${PROTOCOL_VERSION}`,
    )
  }
  if (hello.generation !== runner.generation) {
    return close(step, runner.id, CLOSE.badMessage, "hello names another generation than the token")
  }
  if (state.runner !== null && state.runner !== runner.id) {
    close(step, state.runner, CLOSE.superseded, "a newer connection of this runner took over")
    failAsks(step)
  }
  runner.hello = true
  state.runner = runner.id
  state.runnerHeardAt = step.now
  const { id: connection, generation } = runner
  const attachment = { role: "runner", generation, hello: true } as const
  step.effects.push({ effect: "attach", connection, attachment })

  continueStream(state, hello)
  // The welcome says how far the stream is stored; what the last connection waited for is of no use to this one.
  state.pending.ack = false
  for (const open of state.openTexts.values()) open.asked = false
  setLink(step, isOverdue(state, step.now) ? "lost" : "connected")
  flush(step)
  const { epoch } = state.meta.log
  const acked = state.meta.stream?.acked ?? 0
  toRunner(step, { type: "welcome", protocol: PROTOCOL_VERSION, epoch, acked })
  resumeWork(step)
}

/** The runner's socket is gone, whichever side closed it. */
export function loseRunner(step: Step): void {
  step.state.runner = null
  failAsks(step)
  setLink(step, "lost")
}

/** Any message proves that the runner lives, but not that it does what it was asked. */
export function heardRunner(step: Step, at: number): void {
  const { state } = step
  state.runnerHeardAt = Math.max(state.runnerHeardAt, at)
  if (!isOverdue(state, step.now)) setLink(step, "connected")
}

/** While an attempt is live a runner that is not heard, or that is overdue with it, counts as lost. */
export function checkLink(step: Step, heardAt: number | null): void {
  const { state, now } = step
  const live = liveWork(state)
  if (state.runner === null || live === null) return
  state.runnerHeardAt = Math.max(state.runnerHeardAt, heardAt ?? 0)
  const isSilent = now - state.runnerHeardAt >= RUNNER_SILENCE_MS
  const overdue = isOverdue(state, now)
  if (overdue && runnerLink(state) === "connected") note(step, "runner-overdue", refOf(live.claim))
  setLink(step, isSilent || overdue ? "lost" : "connected")
}

/** Closes every runner socket; what a runner had in hand must have been given up before. */
export function dropRunners(step: Step, code: EffectOf<"close">["code"], reason: string): void {
  const { state } = step
  for (const connection of state.connections.values()) {
    if (connection.role === "runner") close(step, connection.id, code, reason)
  }
  state.runner = null
  failAsks(step)
  broadcastNews(step, { type: "runner", link: runnerLink(state) })
}

/** The link as viewers are told of it: absent until this generation's runner has come. */
export function runnerLink({ meta }: RoomState): RunnerLink {
  if (meta.ended || meta.link?.generation !== meta.fence.generation) return "absent"
  return meta.link.state
}

/** Viewers learn of a change at once, PostgreSQL with the next batch. */
export function setLink(step: Step, link: "connected" | "lost"): void {
  const { state } = step
  if (runnerLink(state) === link || state.meta.ended) return
  const { generation } = state.meta.fence
  state.meta.link = { generation, state: link }
  state.dirty.add("link")
  appendReport(step, { type: "runner.link", generation, state: link })
  ingestNow(step)
  broadcastNews(step, { type: "runner", link })
}

function continueStream(state: RoomState, { generation, streamId }: FromRunnerOf<"hello">): void {
  const { stream } = state.meta
  if (stream?.generation === generation && stream.streamId === streamId) return
  state.meta.stream = { generation, streamId, acked: 0 }
  state.dirty.add("stream")
}

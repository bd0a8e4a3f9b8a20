import type { RoomAnswer } from "../protocol/call.ts"
import type { ToRunner } from "../protocol/runner.ts"
import type { Effect, EffectOf } from "./effects.ts"
import type { StepReader } from "./read-through.ts"
import type { RoomState } from "./state.ts"

/** One call of `reduce`, handed from concern to concern, each of which changes the state and adds effects. */
export type Step = { state: RoomState; now: number; reader: StepReader; effects: Effect[] }

export function instant(step: Step): string {
  return new Date(step.now).toISOString()
}

export function toRunner(step: Step, message: ToRunner): void {
  const connection = step.state.runner
  if (connection !== null) step.effects.push({ effect: "to-runner", connection, message })
}

/** Forgets a connection and closes its socket; `reduce` sees to what follows when it was the runner's. */
export function close(
  step: Step,
  connection: string,
  code: EffectOf<"close">["code"],
  reason: string,
): void {
  forget(step, connection)
  step.effects.push({ effect: "close", connection, code, reason })
}

export function forget({ state }: Step, connection: string): void {
  if (state.connections.get(connection)?.role === "viewer") state.pending.presence = true
  state.connections.delete(connection)
}

export function accept(
  step: Step,
  replyId: string,
  value?: (RoomAnswer & { ok: true })["value"],
): void {
  step.effects.push({ effect: "reply", replyId, answer: { ok: true, value } })
}

/** `reason` is a stable kebab-case word, `message` a sentence. */
export function refuse(step: Step, replyId: string, reason: string, message: string): void {
  step.effects.push({ effect: "reply", replyId, answer: { ok: false, error: { reason, message } } })
}

export function note(step: Step, event: string, detail: EffectOf<"log">["detail"] = {}): void {
  step.effects.push({ effect: "log", event, detail })
}

import type { RoomCallOf, SandboxAway } from "../protocol/call.ts"
import type { FromRunnerOf } from "../protocol/runner.ts"
import { refuse, type Step, toRunner } from "./step.ts"

/** Passes a question to the runner; the reply waits for its answer, at most `withinMs`. */
export function ask(step: Step, replyId: string, call: RoomCallOf<"ask">) {
  const { state, now } = step
  if (state.runner === null) {
    return noAnswer(step, replyId, "runner-absent", "The sandbox is not connected.")
  }
  state.asks.set(replyId, now + call.withinMs)
  toRunner(step, { type: "ask", id: replyId, ask: call.ask })
}

export function takeAnswer(step: Step, { id, result }: FromRunnerOf<"answer">): void {
  if (!step.state.asks.delete(id)) return
  step.effects.push({ effect: "reply", replyId: id, answer: result })
}

export function expireAsks(step: Step): void {
  for (const [replyId, dueAt] of step.state.asks) {
    if (dueAt > step.now) continue
    step.state.asks.delete(replyId)
    noAnswer(step, replyId, "no-answer", "The sandbox did not answer in time.")
  }
}

/** The runner that was asked is gone; a next one was not asked. */
export function failAsks(step: Step): void {
  for (const replyId of step.state.asks.keys()) {
    noAnswer(step, replyId, "runner-lost", "The sandbox went away before it answered.")
  }
  step.state.asks.clear()
}

const noAnswer = (step: Step, replyId: string, reason: SandboxAway, sentence: string) =>
  refuse(step, replyId, reason, `${sentence} Try again in a moment.`)

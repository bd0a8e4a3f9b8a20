import { setTimeout as sleep } from "node:timers/promises"
import type { ToolCall } from "./conversation.ts"
import type { SayStep, Step, ToolStep } from "./script.ts"

/** Where an answer goes. Every method rejects with an AbortError once the client is gone. */
export type ReplyOutput = {
  reasoning: (text: string) => Promise<void>
  text: (text: string) => Promise<void>
  call: (call: ToolCall) => Promise<void>
  finish: () => Promise<void>
  /** Ends the answer with this text, as it is. */
  raw: (text: string) => Promise<void>
  /** Ends the answer with an error of the wire form. */
  fail: (status: number, message: string) => Promise<void>
  /** Sends nothing more and keeps the connection until the client is gone. */
  hang: () => Promise<void>
}

/** Time as a performance sees it. A sleep rejects with an AbortError once the client is gone. */
export type Clock = { nowMs: () => number; sleep: (ms: number) => Promise<void> }

export function clockUntil(signal: AbortSignal): Clock {
  return {
    nowMs: () => performance.now(),
    sleep: (ms) => sleep(ms, undefined, { signal }),
  }
}

/** Plays the steps of one response, in their time, and ends the answer. */
export async function perform(
  steps: Step[],
  output: ReplyOutput,
  replyId: string,
  clock: Clock,
): Promise<void> {
  let callCount = 0
  const call = ({ tool, input }: ToolStep) =>
    output.call({ id: `call_${replyId}_${callCount++}`, name: tool, input })

  for (const step of steps) {
    if ("say" in step) await speak(step, output, clock)
    else if ("think" in step) await output.reasoning(step.think)
    else if ("sleepMs" in step) await clock.sleep(step.sleepMs)
    else if ("tool" in step) await call(step)
    else if ("parallel" in step) for (const each of step.parallel) await call(each)
    else if ("raw" in step) return output.raw(step.raw)
    else if ("hang" in step) return output.hang()
    else return output.fail(step.httpError, `The script asks for HTTP ${step.httpError} here.`)
  }
  await output.finish()
}

/** Says a text as often and as fast as asked: each time is due by the schedule, so no delay adds up. */
async function speak(step: SayStep, output: ReplyOutput, clock: Clock): Promise<void> {
  const startedMs = clock.nowMs()
  for (let spoken = 0; spoken < (step.repeat ?? 1); spoken++) {
    const waitMs = startedMs + spoken * (step.everyMs ?? 0) - clock.nowMs()
    if (waitMs > 0) await clock.sleep(waitMs)
    await output.text(step.say)
  }
}

import { CLOSE } from "../protocol/close-code.ts"
import type { FromRunner, FromRunnerOf } from "../protocol/runner.ts"
import type { OutboxItem, RunnerReport } from "../protocol/work.ts"
import { appendReport, flushSoon } from "./append.ts"
import { takeAnswer } from "./asks.ts"
import type { Runner } from "./connection.ts"
import { resumeWork, takeAttemptReport } from "./dispatch.ts"
import { ingestNow } from "./ingest-due.ts"
import { heardRunner, helloRunner } from "./runner-link.ts"
import { close, note, type Step } from "./step.ts"
import { takeDeltas, takeEntry } from "./timeline.ts"

/** Everything a runner says. Only the connection that said the last hello is listened to. */
export function takeFromRunner(step: Step, runner: Runner, message: FromRunner, chars: number) {
  const { state } = step
  if (message.type === "hello") return helloRunner(step, runner, message)
  if (!runner.hello) return close(step, runner.id, CLOSE.badMessage, "say hello first")
  if (state.runner !== runner.id) return
  heardRunner(step, step.now)
  state.pending.chars += chars
  switch (message.type) {
    case "items":
      return takeItems(step, runner, message)
    case "deltas":
      return takeDeltas(step, message.deltas)
    case "answer":
      return takeAnswer(step, message)
    default:
      message satisfies never
  }
}

/**
 * Takes each item of the outbox once: what is acknowledged already is skipped, a gap makes the runner come back and
 * send again from where it was acknowledged (E1).
 */
function takeItems(step: Step, runner: Runner, { from, items }: FromRunnerOf<"items">) {
  const { state } = step
  const { stream } = state.meta
  if (!stream) return
  if (from > stream.acked + 1) {
    return close(step, runner.id, CLOSE.tryAgainLater, `items after ${stream.acked} are missing`)
  }
  for (const item of items.slice(stream.acked + 1 - from)) {
    stream.acked += 1
    state.dirty.add("stream")
    takeItem(step, item)
  }
  // What was overdue may have come among these, and they may be the last for long.
  heardRunner(step, step.now)
  state.pending.ack = true
  flushSoon(step)
}

function takeItem(step: Step, item: OutboxItem): void {
  if ("entry" in item) takeEntry(step, item.entry)
  else takeReport(step, item.report)
}

function takeReport(step: Step, report: RunnerReport) {
  const { meta } = step.state
  switch (report.type) {
    case "attempt.accepted":
    case "attempt.running":
    case "attempt.ended":
    case "attempt.returned":
      return takeAttemptReport(step, report)
    case "turn.diff":
      appendReport(step, report)
      return
    case "boot.phase":
    case "boot.ready":
      break
    default:
      report satisfies never
  }
  if (report.generation !== meta.fence.generation) {
    return note(step, "report-refused", { report: report.type, generation: report.generation })
  }
  appendReport(step, report)
  ingestNow(step)
  if (report.type === "boot.phase") return
  meta.readyGeneration = report.generation
  step.state.dirty.add("readyGeneration")
  resumeWork(step)
}

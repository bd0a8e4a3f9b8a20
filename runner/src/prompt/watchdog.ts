import type { Claim } from "#protocol/work"
import type { ToolsAtWork } from "../agent/translate-tool.ts"

/** A model writes a long tool input without a sign of it, so it may be silent that much longer. */
const pendingToolFactor = 5

/** What the deadlines of one turn are measured against. Times are milliseconds of a clock that never jumps. */
export type Watch = {
  sentAtMs: number
  started: boolean
  /** When something last moved; while the agent waits to ask the model again, the end of that wait. */
  movedAtMs: number
}

export type Verdict = "agent-did-not-start" | "model-silent" | "turn-too-long"

export const startWatch = (nowMs: number): Watch => ({
  sentAtMs: nowMs,
  started: false,
  movedAtMs: nowMs,
})

export function moved(watch: Watch, nowMs: number): Watch {
  return { ...watch, started: true, movedAtMs: Math.max(watch.movedAtMs, nowMs) }
}

/** Which deadline has passed, if any. */
export function verdict(
  watch: Watch,
  deadlines: Claim["deadlines"],
  tools: ToolsAtWork,
  nowMs: number,
): Verdict | null {
  if (nowMs - watch.sentAtMs > deadlines.turnMs) return "turn-too-long"
  const silentMs = nowMs - watch.movedAtMs
  if (!watch.started) return silentMs > deadlines.startMs ? "agent-did-not-start" : null
  if (tools.running) return null
  const allowedMs = deadlines.silenceMs * (tools.pending ? pendingToolFactor : 1)
  return silentMs > allowedMs ? "model-silent" : null
}

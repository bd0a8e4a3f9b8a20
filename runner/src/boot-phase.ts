import type { BootPhase, RunnerReport } from "#protocol/work"
import { Failed, failureOf } from "./failed.ts"

export type PhaseOptions = {
  phase: BootPhase
  generation: number
  /** What is done, for the sentence that it took too long. */
  what: string
  deadlineMs: number
  report: (report: RunnerReport) => void
  /** Ends the phase without a report: nobody waits for it any more. */
  stop: AbortSignal
}

export type PhaseProgress = {
  /** Aborted at the phase's deadline, and when it is stopped. */
  signal: AbortSignal
  /** Tells what the phase is busy with. Once it is done this is no longer told; when it fails it is. */
  detail: (text: string) => void
  /** Tells what is worth knowing after the phase is done. */
  remark: (text: string) => void
}

/**
 * Runs one named part of the boot, reports when it begins, what it does, how it ended and how long that took. Rejects
 * when the work does, or at the deadline.
 */
export async function runPhase<Result>(
  options: PhaseOptions,
  work: (progress: PhaseProgress) => Promise<Result>,
): Promise<Result> {
  const { phase, what, deadlineMs, stop } = options
  const startedAt = performance.now()
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(tooSlow(phase, what, deadlineMs)), deadlineMs)
  const onStop = () => abort.abort(stop.reason)
  stop.addEventListener("abort", onStop)
  const late = new Promise<never>((_resolve, reject) => {
    abort.signal.addEventListener("abort", () => reject(abort.signal.reason))
  })
  let busyWith = ""
  let remarked = ""
  const report = (state: "running" | "done" | "failed", error: unknown = null) => {
    options.report({
      type: "boot.phase",
      generation: options.generation,
      phase,
      state,
      durationMs: Math.round(performance.now() - startedAt),
      detail: state === "done" ? remarked : busyWith,
      error: state === "failed" ? failureOf(error) : null,
    })
  }
  const detail = (text: string) => {
    busyWith = text
    if (!abort.signal.aborted) report("running")
  }
  const remark = (text: string) => {
    remarked = text
  }
  try {
    stop.throwIfAborted()
    report("running")
    const result = await Promise.race([work({ signal: abort.signal, detail, remark }), late])
    report("done")
    return result
  } catch (error) {
    if (!stop.aborted) report("failed", error)
    throw error
  } finally {
    clearTimeout(timer)
    stop.removeEventListener("abort", onStop)
  }
}

const NEXT: Partial<Record<BootPhase, string>> = {
  clone: "Try again; if it stays so, use a smaller repository or raise the clone deadline.",
}

function tooSlow(phase: BootPhase, what: string, deadlineMs: number): Failed {
  const seconds = Math.round(deadlineMs / 1_000)
  const next = NEXT[phase] ?? "Try again."
  return new Failed(`${phase}-too-slow`, `${what} took longer than ${seconds} s. ${next}`)
}

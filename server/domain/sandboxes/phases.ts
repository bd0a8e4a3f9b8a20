import * as z from "zod"
import { failureSchema } from "#protocol/entry"
import { bootPhaseSchema, type ReportOf } from "#protocol/work"

/** One phase of a boot as the sandbox row keeps it; instants are ISO 8601. */
export const sandboxPhaseSchema = z.object({
  phase: bootPhaseSchema,
  state: z.enum(["running", "done", "failed"]),
  startedAt: z.string(),
  durationMs: z.int().nonnegative(),
  detail: z.string(),
  error: failureSchema.nullable(),
})
export type SandboxPhase = z.infer<typeof sandboxPhaseSchema>

const phasesSchema = z.array(sandboxPhaseSchema)

/** Reads the row's `phases` column. */
export const readPhases = (column: unknown): SandboxPhase[] => phasesSchema.parse(column)

/** The phases after one report: a phase is updated in place, a new one goes last. */
export function withPhase(
  phases: readonly SandboxPhase[],
  report: Omit<ReportOf<"boot.phase">, "type" | "generation">,
  now: Date,
): SandboxPhase[] {
  const known = phases.find(({ phase }) => phase === report.phase)
  const startedAt = known?.startedAt ?? new Date(now.getTime() - report.durationMs).toISOString()
  const next: SandboxPhase = {
    phase: report.phase,
    state: report.state,
    startedAt,
    durationMs: report.durationMs,
    detail: report.detail,
    error: report.error,
  }
  return known ? phases.map((phase) => (phase === known ? next : phase)) : [...phases, next]
}

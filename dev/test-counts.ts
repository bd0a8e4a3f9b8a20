import * as z from "zod"

export type Counts = { passed: number; failed: number; skipped: number }

/** A vitest run counts its tests; any other command counts as one. */
export type Stage = {
  name: string
  deadlineMs: number
  env?: Record<string, string>
} & ({ command: string[] } | { vitest: string })

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
})

/** What a stage adds to the sum; a stage that failed without a failed test, or ran no test, adds one failure. */
export function stageCounts(stage: Stage, ok: boolean, report: unknown): Counts {
  if ("command" in stage) return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }

  const parsed = vitestReport.safeParse(report)
  if (!parsed.success) return { passed: 0, failed: 1, skipped: 0 }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = parsed.data
  const sound = ok && numPassedTests > 0
  return {
    passed: numPassedTests,
    failed: sound ? numFailedTests : Math.max(numFailedTests, 1),
    skipped: numPendingTests + numTodoTests,
  }
}

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  }
}

/** `12 passed, 0 failed`, and `, 1 skipped` when there are any. */
export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`
}

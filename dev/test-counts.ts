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

const failedTests = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})

const SKIPPED = ["pending", "skipped", "todo"]

/** What failed or was skipped in a stage, so that the end of a long log says it: each test, a file that did not load, or the stage. */
export function failuresOf(stage: Stage, ok: boolean, report: unknown): string[] {
  const results = failedTests.safeParse(report).data?.testResults ?? []
  const named = results
    .filter(({ status }) => status === "failed")
    .flatMap(({ name, assertionResults }) => {
      const failed = assertionResults.filter(({ status }) => status === "failed")
      return failed.length === 0 ? [name] : failed.map(({ fullName }) => `${name}: ${fullName}`)
    })
  const skipped = results.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => SKIPPED.includes(status))
      .map(({ fullName }) => `${name}: ${fullName} (skipped)`),
  )
  return ok || named.length > 0 ? [...named, ...skipped] : [stage.name, ...skipped]
}

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  }
}

/** Whether a run is green: nothing failed and, as nothing may be left out, nothing was skipped. */
export function isGreen({ failed, skipped }: Counts): boolean {
  return failed === 0 && skipped === 0
}

/** `12 passed, 0 failed`, and `, 1 skipped` when there are any. */
export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`
}

import { stripVTControlCharacters } from "node:util"
import * as z from "zod"

export type Counts = { passed: number; failed: number; skipped: number }

/** A vitest run counts its tests; any other command counts as one. */
export type Stage = {
  name: string
  deadlineMs: number
  env?: Record<string, string>
} & ({ command: string[] } | { vitest: string })

const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
})

type FileResult = z.infer<typeof reportSchema>["testResults"][number]

/** How a stage went: whether its command succeeded, and what a vitest run reported of each of its files. */
export type Outcome = { ok: boolean; files: FileResult[] | null }

const SKIPPED = ["pending", "skipped", "todo"]
const REASON_LINES = 6
/** So many files do not fail by chance. */
const MOST_REPEATED_FILES = 3

/** Reads vitest's JSON report; anything else is a report that was not written. */
export function outcomeOf(ok: boolean, report: unknown): Outcome {
  return { ok, files: reportSchema.safeParse(report).data?.testResults ?? null }
}

/** What a stage adds to the sum; a stage that failed without a failed test, or ran no test, adds one failure. */
export function stageCounts(stage: Stage, { ok, files }: Outcome): Counts {
  if ("command" in stage) return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }

  const states = (files ?? []).flatMap(({ assertionResults }) =>
    assertionResults.map(({ status }) => status),
  )
  const passed = states.filter((status) => status === "passed").length
  const failed = states.filter((status) => status === "failed").length
  return {
    passed,
    failed: ok && passed > 0 ? failed : Math.max(failed, 1),
    skipped: states.filter((status) => SKIPPED.includes(status)).length,
  }
}

/** What failed or was skipped in a stage, with the reason, so that the end of a long log says it: each test, a file that did not load, or the stage. */
export function failuresOf(stage: Stage, { ok, files }: Outcome): string[] {
  const named = (files ?? []).filter(hasFailed).flatMap(failuresOfFile)
  const skipped = (files ?? []).flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => SKIPPED.includes(status))
      .map(({ fullName }) => `${name}: ${fullName} (skipped)`),
  )
  return ok || named.length > 0 ? [...named, ...skipped] : [stage.name, ...skipped]
}

/** The files that a second run may show to be unsteady: none when the stage failed as a whole. */
export function filesToRepeat({ files }: Outcome): string[] {
  const failed = (files ?? []).filter(hasFailed).map(({ name }) => name)
  return failed.length > MOST_REPEATED_FILES ? [] : failed
}

/** The outcome with what the second run said of its files; `unsteady` is what failed once and then passed. */
export function afterRepeat(first: Outcome, second: Outcome) {
  const repeated = new Map(second.files?.map((file) => [file.name, file]))
  const files = (first.files ?? []).map((file) => repeated.get(file.name) ?? file)
  const unsteady = (first.files ?? [])
    .filter((file) => hasFailed(file) && repeated.get(file.name)?.status === "passed")
    .flatMap(failuresOfFile)
  return { outcome: { ok: second.ok, files }, unsteady }
}

const hasFailed = ({ status }: FileResult) => status === "failed"

function failuresOfFile({ name, message, assertionResults }: FileResult): string[] {
  const failed = assertionResults.filter(({ status }) => status === "failed")
  if (failed.length === 0) return [withReason(name, message)]
  return failed.map((test) => withReason(`${name}: ${test.fullName}`, test.failureMessages?.[0]))
}

function withReason(what: string, message = ""): string {
  const lines = stripVTControlCharacters(message).split("\n").slice(0, REASON_LINES)
  return [what, ...lines.filter((line) => line.trim() !== "").map((line) => `    ${line}`)].join(
    "\n",
  )
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

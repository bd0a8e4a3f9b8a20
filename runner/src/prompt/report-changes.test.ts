import { beforeEach, expect, test } from "vitest"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Diff, RunnerReport } from "#protocol/work"
import { Ledger } from "./ledger.ts"
import type { JournalRecord } from "./ports.ts"
import { reportChanges } from "./report-changes.ts"

let entries: DraftEntry[]
let reports: RunnerReport[]
let stored: JournalRecord | null
let ledger: Ledger
let crashBefore: "journal" | "entry" | "report" | null
let isDead: boolean

const emit = {
  entry(entry: DraftEntry) {
    crash("entry")
    entries.push(entry)
  },
  report(report: RunnerReport) {
    crash("report")
    reports.push(report)
  },
  deltas: () => undefined,
}
const journal = {
  read: () => stored,
  write(record: JournalRecord) {
    crash("journal")
    stored = structuredClone(record)
  },
}

function crash(step: typeof crashBefore): void {
  isDead ||= crashBefore === step
  if (isDead) throw new Error("crash")
}

/** A runner that begins with what is on disk. */
function start(generation = 1): void {
  crashBefore = null
  isDead = false
  ledger = new Ledger({ journal, emit, generation, log: () => undefined })
}

beforeEach(() => {
  entries = []
  reports = []
  stored = null
  start()
})

/** Ends a turn after which so many files differ from the session's start. */
function endTurn(name: string, files: number): Promise<void> {
  const file = { status: "added", additions: 1, deletions: 0, binary: false, patch: "+" } as const
  const paths = Array.from({ length: files }, (_, index) => `file-${index}`)
  const diff: Diff = {
    base: "abc",
    truncated: false,
    files: paths.map((path) => ({ path, ...file })),
  }
  const workspace = { directory: "/workspace", changes: async () => diff }
  return reportChanges({ workspace, emit, ledger }, promptIdSchema.parse(name))
}

/** Turn by turn, how many files the timeline names, and how many the server keeps. */
const shown = () =>
  entries.flatMap((entry) => (entry.kind === "changes" ? [[entry.turnId, entry.files.length]] : []))
const kept = () =>
  reports.flatMap((report) =>
    report.type === "turn.diff" ? [[report.turnId, report.diff.files.length]] : [],
  )

test("each turn's changes are kept, also that there are none; the timeline names them from the first on", async () => {
  const turns = [0, 0, 2, 1, 0, 0, 1]
  for (const [index, files] of turns.entries()) await endTurn(`p${index}`, files)
  expect(kept()).toEqual(turns.map((files, index) => [`p${index}`, files]))
  expect(shown()).toEqual([
    ["p2", 2],
    ["p3", 1],
    ["p4", 0],
    ["p6", 1],
  ])
})

test("that earlier changes were taken back is told by a restarted runner too", async () => {
  await endTurn("p1", 1)
  start()
  await endTurn("p2", 0)
  expect(shown().at(-1)).toEqual(["p2", 0])
})

test.each(["journal", "entry", "report"] as const)(
  "a runner that died before its %s does not leave changes shown that are gone",
  async (step) => {
    for (const [before, after] of [
      [0, 1],
      [1, 0],
    ] as const) {
      await endTurn("p1", before)
      crashBefore = step
      await endTurn("p2", after).catch(() => undefined)
      start()
      await endTurn("p2", 0)
      expect(kept().at(-1)).toEqual(["p2", 0])
      expect(shown().at(-1)?.[1] ?? 0).toBe(0)
    }
  },
)

test("a later generation without a journal does not know what was shown, and says that there are none", async () => {
  start(2)
  await endTurn("p1", 0)
  await endTurn("p2", 0)
  expect(shown()).toEqual([["p1", 0]])
})

test("a workspace that cannot be read rejects, and what was told stands", async () => {
  await endTurn("p1", 1)
  const changes = () => Promise.reject(new Error("gone"))
  const options = { workspace: { directory: "/workspace", changes }, emit, ledger }
  await expect(reportChanges(options, promptIdSchema.parse("p2"))).rejects.toThrow("gone")
  expect([kept(), shown()]).toEqual([[["p1", 1]], [["p1", 1]]])
})

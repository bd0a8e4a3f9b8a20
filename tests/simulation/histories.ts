import { once } from "node:events"
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import { type HistoryReport, replayCommand } from "./history.ts"
import type { Outcome } from "./thread.ts"

/** Of real time, on a busy machine; the longest take about two seconds. */
const LONGEST_HISTORY_MS = 120_000
/** So many broken histories say enough; the rest is not played. */
const ENOUGH_BROKEN = 10

export type Histories = {
  /** In no particular order. */
  reports: HistoryReport[]
  broken: Extract<Outcome, { broken: unknown }>["broken"][]
}

/** Plays the histories of all seeds, one after the other on each core. */
export async function playHistories(
  seeds: Iterable<number>,
  onOutcome?: (histories: Histories) => void,
): Promise<Histories> {
  const histories: Histories = { reports: [], broken: [] }
  const left = seeds[Symbol.iterator]()
  const next = () => {
    const { done, value } = left.next()
    return done || histories.broken.length >= ENOUGH_BROKEN ? null : value
  }
  const take = (outcome: Outcome) => {
    if ("report" in outcome) histories.reports.push(outcome.report)
    else histories.broken.push(outcome.broken)
    onOutcome?.(histories)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, () => playOn(next, take)))
  return histories
}

async function playOn(next: () => number | null, take: (outcome: Outcome) => void): Promise<void> {
  const thread = new Worker(new URL("./thread.ts", import.meta.url), { execArgv: [] })
  try {
    for (let seed = next(); seed !== null; seed = next()) {
      thread.postMessage(seed)
      take(await outcomeFrom(thread, seed))
    }
  } finally {
    await thread.terminate()
  }
}

async function outcomeFrom(thread: Worker, seed: number): Promise<Outcome> {
  const signal = AbortSignal.timeout(LONGEST_HISTORY_MS)
  try {
    const [outcome] = await once(thread, "message", { signal })
    return outcome
  } catch (error) {
    const why = signal.aborted ? "does not end" : "ended its thread"
    throw new Error(`The history of ${seed} ${why}. Replay: ${replayCommand(seed)}`, {
      cause: error,
    })
  }
}

/** What was played, in one line. */
export function summaryOf({ reports, broken }: Histories): string {
  const sum = (of: (report: HistoryReport) => number) =>
    reports.reduce((total, report) => total + of(report), 0)
  const hours = sum(({ virtualMs }) => virtualMs) / 3_600_000
  const accidents = [...tallyOf(reports)].map(([name, count]) => `${name} ${count}`)
  return [
    `${reports.length + broken.length} histories, ${broken.length} broken`,
    `${hours.toFixed(1)} h of session time`,
    `${sum(({ events }) => events)} events`,
    `${sum(({ prompts }) => prompts)} prompts`,
    `${sum(({ machines }) => machines)} machines`,
    accidents.join(", "),
  ].join("; ")
}

/** How often each thing happened in all histories together, most frequent first. */
export function tallyOf(reports: readonly HistoryReport[]): Map<string, number> {
  const tally = new Map<string, number>()
  for (const report of reports) {
    for (const [name, count] of Object.entries(report.tally)) {
      tally.set(name, (tally.get(name) ?? 0) + count)
    }
  }
  return new Map([...tally].sort(([, a], [, b]) => b - a))
}

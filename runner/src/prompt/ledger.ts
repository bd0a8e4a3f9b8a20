import type { AttemptRef } from "#protocol/work"
import type { Log } from "../log.ts"
import type { AttemptRecord, Emit, Journal, JournalRecord } from "./ports.ts"
import { emptyRecord, findAttempt, reportsOf, withAttempt } from "./records.ts"

type LedgerOptions = {
  journal: Journal
  emit: Pick<Emit, "report">
  generation: number
  log: Log
}

/** What is known of the session's attempts: in memory, in the journal, and told to the room. */
export class Ledger {
  readonly #options: LedgerOptions
  #record: JournalRecord

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#record = options.journal.read() ?? emptyRecord(options.generation)
  }

  get record(): JournalRecord {
    return this.#record
  }

  find(ref: AttemptRef): AttemptRecord | undefined {
    return findAttempt(this.#record, ref)
  }

  /** Tells the room how an attempt stands. */
  tell(attempt: AttemptRecord): void {
    for (const report of reportsOf(attempt)) this.#options.emit.report(report)
  }

  /** Puts a new attempt on disk, then tells the room; answers why the disk refused, and nothing is told then. */
  accept(attempt: AttemptRecord): { problem: unknown } | null {
    const next = withAttempt(this.#record, attempt)
    try {
      this.#options.journal.write(next)
    } catch (problem) {
      this.#options.log("the journal cannot be written", { error: String(problem) })
      return { problem }
    }
    this.#record = next
    this.tell(attempt)
    return null
  }

  /** An attempt that never came onto the disk: it is over, and the room hears it. */
  refuse(attempt: AttemptRecord): void {
    this.#record = withAttempt(this.#record, attempt)
    this.tell(attempt)
  }

  keep(attempt: AttemptRecord): void {
    this.#save(withAttempt(this.#record, attempt))
  }

  keepSession(agentSessionId: string): void {
    this.#save({ ...this.#record, agentSessionId })
  }

  keepToldChanges(toldChanges: boolean): void {
    if (this.#record.toldChanges !== toldChanges) this.#save({ ...this.#record, toldChanges })
  }

  /** What is not on disk is only known until the next crash; the turn goes on. */
  #save(next: JournalRecord): void {
    this.#record = next
    try {
      this.#options.journal.write(next)
    } catch (error) {
      this.#options.log("the journal cannot be written", { error: String(error) })
    }
  }
}

import type { DraftEntry, Entry, SessionStatus } from "#protocol/entry"
import { statusKey } from "#protocol/entry"

export type StatusStep = { version: number; status: SessionStatus; reason: string; at: Date }

/** Numbers the entries of one session as its room would, on a clock that the author moves. */
export class SeedLog {
  readonly entries: Entry[] = []
  readonly statuses: StatusStep[] = []
  #seq = 0
  #nowMs: number

  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  get seq(): number {
    return this.#seq
  }

  get now(): Date {
    return new Date(this.#nowMs)
  }

  pass(seconds: number): void {
    this.#nowMs += seconds * 1_000
  }

  /** A new entry; `versions` above 1 leaves numbers out, as for a text that grew. */
  append(draft: DraftEntry, versions = 1): Entry {
    const firstSeq = this.#seq + 1
    this.#seq += versions
    const entry: Entry = { ...draft, seq: this.#seq, firstSeq, at: this.now.toISOString() }
    this.entries.push(entry)
    return entry
  }

  /** The next version of an entry: it keeps its place. */
  replace({ firstSeq }: Entry, draft: DraftEntry): void {
    this.#seq += 1
    const place = this.entries.findIndex((entry) => entry.firstSeq === firstSeq)
    this.entries[place] = { ...draft, seq: this.#seq, firstSeq, at: this.now.toISOString() }
  }

  status(status: SessionStatus, reason: string): void {
    const version = this.statuses.length + 1
    this.statuses.push({ version, status, reason, at: this.now })
    this.append({ kind: "status", key: statusKey(version), turnId: null, status, reason })
  }
}

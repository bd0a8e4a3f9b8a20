import type { LogItem } from "../../protocol/call.ts"
import { entrySchema } from "../../protocol/entry.ts"
import { reportSchema } from "../../protocol/work.ts"
import type { Store } from "../effects.ts"
import type { RoomMeta } from "../meta.ts"
import type { RoomReader, StoredEntry } from "../reader.ts"

type Row = { seq: number; firstSeq: number; body: string | null }
type Numbered = { seq: number; key: string }

/** A room's storage in memory, with the checks that a database would make. Each `apply` is one transaction. */
export class MemoryStore implements RoomReader {
  readonly meta: Partial<RoomMeta> = {}
  readonly entries = new Map<string, Row>()
  readonly reports = new Map<number, string>()
  /** Every version that was ever stored, by seq; this is the oracle's, a real storage has no such thing. */
  readonly history = new Map<number, { key: string; body: string }>()
  readonly #bySeq: Numbered[] = []
  readonly #attempts = new Map<string, number>()
  readonly #tickets = new Set<string>()
  /** Reads since the last look, to see that they do not grow with the log. */
  reads = 0

  apply(store: Store): void {
    for (const { key, seq, firstSeq, body } of store.entries) {
      const last = this.#bySeq.at(-1)?.seq ?? 0
      if (seq <= last) throw new Error(`entry ${key} takes seq ${seq} after ${last}`)
      const known = this.entries.get(key)
      if (known && known.firstSeq !== firstSeq) throw new Error(`entry ${key} moved its firstSeq`)
      this.entries.set(key, { seq, firstSeq, body })
      this.history.set(seq, { key, body })
      this.#bySeq.push({ seq, key })
    }
    for (const { seq, body } of store.reports) {
      if (this.reports.has(seq)) throw new Error(`seq ${seq} is taken`)
      this.reports.set(seq, body)
    }
    Object.assign(this.meta, structuredClone(store.meta))
    for (const { promptId, attempt } of store.attempts) this.#attempts.set(promptId, attempt)
    for (const { jti } of store.tickets) this.#tickets.add(jti)
    if (store.dropBodies) this.#dropBodies(store.dropBodies)
    for (const seq of this.reports.keys()) {
      if (seq <= (store.dropReportsUpTo ?? 0)) this.reports.delete(seq)
    }
  }

  place(key: string) {
    this.reads += 1
    return this.entries.get(key) ?? null
  }

  body(key: string) {
    this.reads += 1
    return this.entries.get(key)?.body ?? null
  }

  *entriesAfter(after: number): Generator<StoredEntry> {
    for (let i = this.#indexAfter(after); i < this.#bySeq.length; i++) {
      this.reads += 1
      const numbered = this.#bySeq[i]
      const row = numbered && this.entries.get(numbered.key)
      if (numbered && row && row.seq === numbered.seq && row.body !== null) {
        yield { ...numbered, body: row.body }
      }
    }
  }

  lastAttempt(promptId: string) {
    return this.#attempts.get(promptId) ?? 0
  }

  ticketUsed(jti: string) {
    return this.#tickets.has(jti)
  }

  /** What an `ingest` post carries: see the effect. */
  batch(from: number, head: number, maxChars: number): { items: LogItem[]; to: number } {
    const rows: { seq: number; chars: number; item: () => LogItem }[] = []
    for (const { seq, body } of this.entriesAfter(from)) {
      const item = () => ({ seq, entry: entrySchema.parse(JSON.parse(body)) })
      rows.push({ seq, chars: body.length, item })
    }
    for (const [seq, body] of this.reports) {
      if (seq <= from) continue
      const item = () => ({ seq, report: reportSchema.parse(JSON.parse(body)) })
      rows.push({ seq, chars: body.length, item })
    }
    rows.sort((a, b) => a.seq - b.seq)
    let chars = 0
    const fitting = rows.filter((row, index) => {
      chars += row.chars
      return chars <= maxChars || index === 0
    })
    const whole = fitting.length === rows.length
    return {
      items: fitting.map((row) => row.item()),
      to: whole ? head : (fitting.at(-1)?.seq ?? head),
    }
  }

  #dropBodies({ after, upTo }: { after: number; upTo: number }): void {
    for (let i = this.#indexAfter(after); i < this.#bySeq.length; i++) {
      const numbered = this.#bySeq[i]
      if (!numbered || numbered.seq > upTo) return
      const row = this.entries.get(numbered.key)
      if (row?.seq === numbered.seq) row.body = null
    }
  }

  #indexAfter(seq: number): number {
    let low = 0
    for (let high = this.#bySeq.length; low < high; ) {
      const middle = (low + high) >> 1
      if ((this.#bySeq[middle]?.seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

import type { Store } from "../room/effects.ts"
import type { RoomMeta } from "../room/meta.ts"
import type { RoomReader, StoredEntry } from "../room/reader.ts"
import { LongBodies } from "./long-bodies.ts"

const SCHEMA = [
  "CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, seq INTEGER NOT NULL, firstSeq INTEGER NOT NULL, body TEXT)",
  "CREATE INDEX IF NOT EXISTS entry_seq ON entry (seq)",
  "CREATE TABLE IF NOT EXISTS report (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS attempt (promptId TEXT PRIMARY KEY, attempt INTEGER NOT NULL)",
  "CREATE TABLE IF NOT EXISTS ticket (id TEXT PRIMARY KEY, exp INTEGER NOT NULL)",
]

/** Longer than the clock tolerance with which an expired ticket might still be accepted. */
const TICKET_MARGIN_SECONDS = 120

/** Beyond so many entries a room asks its tables for each key. */
const MAX_KNOWN_KEYS = 100_000

/** A session room's SQLite tables. All of it is synchronous, so nothing can come between a read and its use. */
export class RoomStorage implements RoomReader {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage
  readonly #long: LongBodies
  /** Every stored key once it was needed: most entries are new, and memory says so faster. Null when they are too many. */
  #keys: Set<string> | null | undefined

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    this.#sql = storage.sql
    for (const statement of SCHEMA) this.#sql.exec(statement)
    this.#long = new LongBodies(this.#sql)
  }

  meta(): Partial<RoomMeta> {
    const rows = this.#sql.exec<{ name: string; value: string }>("SELECT name, value FROM meta")
    return Object.fromEntries([...rows].map(({ name, value }) => [name, JSON.parse(value)]))
  }

  place(key: string): { seq: number; firstSeq: number } | null {
    if (this.#keys === undefined) this.#keys = this.#readKeys()
    if (this.#keys && !this.#keys.has(key)) return null
    return this.#first<{ seq: number; firstSeq: number }>(
      "SELECT seq, firstSeq FROM entry WHERE key = ?",
      key,
    )
  }

  body(key: string): string | null {
    const query = "SELECT seq, body FROM entry WHERE key = ?"
    const row = this.#first<{ seq: number; body: string | null }>(query, key)
    return row?.body == null ? null : this.#long.withRest(row.seq, row.body)
  }

  *entriesAfter(seq: number): Iterable<StoredEntry> {
    const query = "SELECT key, seq, body FROM entry WHERE seq > ? AND body IS NOT NULL ORDER BY seq"
    for (const row of this.#sql.exec<StoredEntry>(query, seq)) {
      yield { key: row.key, seq: row.seq, body: this.#long.withRest(row.seq, row.body) }
    }
  }

  *reportsAfter(seq: number): Iterable<{ seq: number; body: string }> {
    const query = "SELECT seq, body FROM report WHERE seq > ? ORDER BY seq"
    for (const row of this.#sql.exec<{ seq: number; body: string }>(query, seq)) {
      yield { seq: row.seq, body: this.#long.withRest(row.seq, row.body) }
    }
  }

  lastAttempt(promptId: string): number {
    const query = "SELECT attempt FROM attempt WHERE promptId = ?"
    return this.#first<{ attempt: number }>(query, promptId)?.attempt ?? 0
  }

  ticketUsed(id: string): boolean {
    return this.#first<{ id: string }>("SELECT id FROM ticket WHERE id = ?", id) !== null
  }

  /** One transaction: either all of it is stored or nothing. */
  write(store: Store): void {
    this.#storage.transactionSync(() => {
      for (const { key, seq, firstSeq, body } of store.entries) {
        this.#sql.exec(
          "INSERT INTO entry (key, seq, firstSeq, body) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, body = excluded.body",
          key,
          seq,
          firstSeq,
          this.#long.keepRest(seq, body),
        )
        this.#remember(key)
      }
      for (const { seq, body } of store.reports) {
        const first = this.#long.keepRest(seq, body)
        this.#sql.exec("INSERT INTO report (seq, body) VALUES (?, ?)", seq, first)
      }
      for (const [name, value] of Object.entries(store.meta)) {
        this.#sql.exec(
          "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
          name,
          JSON.stringify(value),
        )
      }
      for (const { promptId, attempt } of store.attempts) {
        this.#sql.exec(
          "INSERT INTO attempt (promptId, attempt) VALUES (?, ?) ON CONFLICT (promptId) DO UPDATE SET attempt = excluded.attempt",
          promptId,
          attempt,
        )
      }
      this.#writeTickets(store.tickets)
      this.#drop(store)
    })
  }

  #readKeys(): Set<string> | null {
    const query = "SELECT key FROM entry LIMIT ?"
    const keys = this.#sql.exec<{ key: string }>(query, MAX_KNOWN_KEYS).toArray()
    return keys.length < MAX_KNOWN_KEYS ? new Set(keys.map(({ key }) => key)) : null
  }

  #remember(key: string): void {
    this.#keys?.add(key)
    if (this.#keys?.size === MAX_KNOWN_KEYS) this.#keys = null
  }

  #writeTickets(tickets: Store["tickets"]): void {
    const [first] = tickets
    if (!first) return
    const oldest = Math.min(...tickets.map((ticket) => ticket.expiresAtSeconds))
    this.#sql.exec("DELETE FROM ticket WHERE exp < ?", oldest - TICKET_MARGIN_SECONDS)
    for (const { jti, expiresAtSeconds } of tickets) {
      this.#sql.exec(
        "INSERT INTO ticket (id, exp) VALUES (?, ?) ON CONFLICT DO NOTHING",
        jti,
        expiresAtSeconds,
      )
    }
  }

  #drop({ dropBodies, dropReportsUpTo }: Store): void {
    if (dropBodies) {
      this.#sql.exec(
        "UPDATE entry SET body = NULL WHERE seq > ? AND seq <= ?",
        dropBodies.after,
        dropBodies.upTo,
      )
      this.#long.dropUpTo(dropBodies.upTo)
    }
    if (dropReportsUpTo !== null) {
      this.#sql.exec("DELETE FROM report WHERE seq <= ?", dropReportsUpTo)
    }
  }

  #first<Row extends Record<string, SqlStorageValue>>(query: string, value: string): Row | null {
    return this.#sql.exec<Row>(query, value).next().value ?? null
  }
}

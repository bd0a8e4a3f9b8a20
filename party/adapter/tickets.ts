/** The ids of the tickets that opened a socket here, so that none opens a second one (A1). */
export class UsedTickets {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
    sql.exec("CREATE TABLE IF NOT EXISTS ticket (id TEXT PRIMARY KEY, exp INTEGER NOT NULL)")
  }

  /** Takes a ticket; false when it was taken before. `exp` and `nowSeconds` are seconds since 1970. */
  take(id: string, exp: number, nowSeconds: number): boolean {
    // Verification refuses expired tickets, so ids are only kept while a ticket could still be presented.
    this.#sql.exec(
      "DELETE FROM ticket WHERE exp < ?",
      Math.floor(nowSeconds) - EXPIRY_MARGIN_SECONDS,
    )
    const insert = "INSERT INTO ticket (id, exp) VALUES (?, ?) ON CONFLICT DO NOTHING"
    return this.#sql.exec(insert, id, exp).rowsWritten > 0
  }
}

/** More than the clock tolerance of the verification. */
const EXPIRY_MARGIN_SECONDS = 120

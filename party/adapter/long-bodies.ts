/** A row of the platform's SQLite holds 2 MB; a UTF-16 unit takes at most 3 bytes there. */
const MAX_ROW_CHARS = 600_000

/** What of a body does not fit into its own row, by the number of its version. */
export class LongBodies {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
    sql.exec(
      "CREATE TABLE IF NOT EXISTS rest (seq INTEGER NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (seq, part))",
    )
  }

  /** Stores what does not fit and returns what does. */
  keepRest(seq: number, body: string): string {
    if (body.length < MAX_ROW_CHARS) return body
    const [first = "", ...rest] = pieces(body)
    for (const [part, piece] of rest.entries()) {
      this.#sql.exec("INSERT INTO rest (seq, part, body) VALUES (?, ?, ?)", seq, part, piece)
    }
    return first
  }

  /** The whole body again. */
  withRest(seq: number, first: string): string {
    if (first.length < MAX_ROW_CHARS - 1) return first
    const query = "SELECT body FROM rest WHERE seq = ? ORDER BY part"
    const rest = this.#sql.exec<{ body: string }>(query, seq).toArray()
    return first + rest.map(({ body }) => body).join("")
  }

  dropUpTo(seq: number): void {
    this.#sql.exec("DELETE FROM rest WHERE seq <= ?", seq)
  }
}

/** Cuts never split a surrogate pair, which would not survive storage. */
function pieces(text: string): string[] {
  const all: string[] = []
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + MAX_ROW_CHARS, text.length)
    if (end < text.length && /[\ud800-\udbff]/.test(text.charAt(end - 1))) end -= 1
    all.push(text.slice(start, end))
    start = end
  }
  return all
}

import type { Entry } from "#protocol/entry"

/** An entry as its row keeps it: `body` is what is left without the columns. */
export type StoredEntry = {
  key: string
  seq: number
  firstSeq: number
  turnId: string | null
  kind: string
  body: object
  at: string
}

/** Splits an entry into its row. */
export function toStored(entry: Entry): StoredEntry {
  const { key, seq, firstSeq, turnId, kind, at, ...body } = entry
  return { key, seq, firstSeq, turnId, kind, at, body }
}

/** The entry of a row; what was checked when it was ingested is not checked again at each reading. */
export function toEntry({ body, ...columns }: Omit<StoredEntry, "at"> & { at: Date }): Entry {
  const entry = { ...body, ...columns, at: columns.at.toISOString() }
  return entry as Entry
}

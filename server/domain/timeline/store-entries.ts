import type { Entry } from "#protocol/entry"
import type { Transaction } from "../../db.ts"
import { type StoredEntry, toStored } from "./stored-entry.ts"

/**
 * Writes the newest version of each key in one statement: a version that is not newer than the stored one changes
 * nothing, and the key keeps its `firstSeq` (E5).
 */
export async function storeEntries(
  tx: Transaction,
  sessionId: string,
  entries: readonly Entry[],
): Promise<void> {
  if (entries.length === 0) return
  const rows = JSON.stringify(newestPerKey(entries))
  await tx.$executeRaw`
    insert into "Entry" as entry ("sessionId", key, seq, "firstSeq", "turnId", kind, body, at)
    select ${sessionId}, r.key, r.seq, r."firstSeq", r."turnId", r.kind, r.body, r.at
      from jsonb_to_recordset(${rows}::jsonb) as r(
             key text, seq int, "firstSeq" int, "turnId" text, kind text, body jsonb, at timestamptz)
    on conflict ("sessionId", key) do update
       set seq = excluded.seq, "turnId" = excluded."turnId", kind = excluded.kind,
           body = excluded.body, at = excluded.at
     where excluded.seq > entry.seq`
}

/** One statement may touch a row only once. */
function newestPerKey(entries: readonly Entry[]): StoredEntry[] {
  const newest = new Map<string, Entry>()
  for (const entry of entries) {
    const held = newest.get(entry.key)
    if (!held || held.seq < entry.seq) newest.set(entry.key, entry)
  }
  return [...newest.values()].map(toStored)
}

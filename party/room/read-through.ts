import type { EntryRow, Store } from "./effects.ts"
import type { RoomReader } from "./reader.ts"

/** A reader that also shows what the current step has decided to store. */
export type StepReader = RoomReader & { wrote(store: Store): void }

export function readThrough(stored: RoomReader): StepReader {
  const rows = new Map<string, EntryRow>()
  const attempts = new Map<string, number>()
  const tickets = new Set<string>()
  return {
    place: (key) => rows.get(key) ?? stored.place(key),
    body: (key) => rows.get(key)?.body ?? stored.body(key),
    *entriesAfter(seq) {
      for (const row of stored.entriesAfter(seq)) if (!rows.has(row.key)) yield row
      for (const row of rows.values()) if (row.seq > seq) yield row
    },
    lastAttempt: (promptId) => attempts.get(promptId) ?? stored.lastAttempt(promptId),
    ticketUsed: (jti) => tickets.has(jti) || stored.ticketUsed(jti),
    wrote(store) {
      for (const row of store.entries) {
        // Set anew at the end, so that rows stay in the order of `seq`.
        rows.delete(row.key)
        rows.set(row.key, row)
      }
      for (const { promptId, attempt } of store.attempts) attempts.set(promptId, attempt)
      for (const { jti } of store.tickets) tickets.add(jti)
    },
  }
}

/** A stored entry as it is replayed. `body` is the whole entry as JSON. */
export type StoredEntry = { key: string; seq: number; body: string }

/**
 * Synchronous reads of what the room has stored, so that the room's memory does not grow with its log. It shows
 * everything that earlier effects stored and is consulted during one `reduce` only.
 */
export type RoomReader = {
  /** The place of a key, also after its body was dropped; null when the key is new. */
  place(key: string): { seq: number; firstSeq: number } | null
  /** The JSON of a key's newest version; null when the key is new or its body was dropped. */
  body(key: string): string | null
  /** Entries whose newest version is after `seq`, ordered by it, read lazily; those without a body are left out. */
  entriesAfter(seq: number): Iterable<StoredEntry>
  /** The highest attempt of a prompt that was ever assigned here, 0 for none. */
  lastAttempt(promptId: string): number
  /** Whether a ticket id was stored by an earlier `tickets`. */
  ticketUsed(jti: string): boolean
}

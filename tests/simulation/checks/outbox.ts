import type { DraftEntry, Entry } from "#protocol/entry"
import { canonical } from "./canonical.ts"
import type { EndOfHistory } from "./end-of-history.ts"

/**
 * I2: every entry that a runner got an acknowledgement for is stored, in its newest version: the acknowledged one, or one
 * that was sent after it and stored by a room whose acknowledgement was lost.
 */
export function outboxOffences({ world, entries }: EndOfHistory): string[] {
  const { witness } = world.machines
  const offences = [...witness.offences]
  const allowed = new Map<string, [acknowledged: DraftEntry, ...later: DraftEntry[]]>()
  const byAge = [...witness.streams.values()].sort((a, b) => a.generation - b.generation)
  for (const { items, acked } of byAge) {
    for (const [number, item] of [...items].sort(([a], [b]) => a - b)) {
      if (!("entry" in item)) continue
      if (number <= acked) allowed.set(item.entry.key, [item.entry])
      else allowed.get(item.entry.key)?.push(item.entry)
    }
  }
  for (const [key, drafts] of allowed) {
    const stored = entries.get(key)
    if (!stored) offences.push(`[I2] ${key} was acknowledged and is not stored`)
    else if (!drafts.some((draft) => covers(stored, draft))) {
      offences.push(
        `[I2] ${key} was acknowledged as ${canonical(drafts[0])}, stored is ${canonical(stored)}`,
      )
    }
  }
  return offences
}

/** The stored version is the acknowledged one, a longer one of an open text, or one that the room closed. */
function covers(stored: Entry, draft: DraftEntry): boolean {
  const { seq: _seq, firstSeq: _firstSeq, at: _at, ...rest } = stored
  if (canonical(rest) === canonical(draft)) return true
  if (draft.kind === "text" || draft.kind === "reasoning") {
    return stored.kind === draft.kind && !draft.done && stored.text.startsWith(draft.text.trimEnd())
  }
  const isOpen = draft.kind === "tool" && (draft.state === "pending" || draft.state === "running")
  return isOpen && stored.kind === "tool" && stored.output.startsWith(draft.output)
}

import type { Entry } from "#protocol/entry"
import { canonical } from "./canonical.ts"
import type { EndOfHistory } from "./end-of-history.ts"

type Changes = Extract<Entry, { kind: "changes" }>

/**
 * What a sleeping session shows of its changes is the newest turn's: every turn that went well has stored its diff, and
 * the timeline names the same files last.
 */
export function changesOffences({ diffs, prompts, attempts, entries }: EndOfHistory): string[] {
  const stored = new Set(diffs.map(({ turnId }) => turnId))
  const steers = new Set(attempts.filter(({ steer }) => steer).map(({ promptId }) => promptId))
  const good = prompts.filter(({ id, state }) => state === "succeeded" && !steers.has(id))
  const missing = good.filter(({ id }) => !stored.has(id))
  const offences = missing.map(({ id }) => `[changes] the turn ${id} went well without a diff`)

  const [diff] = diffs.toSorted((a, b) => b.seq - a.seq)
  const [shown] = [...entries.values()].filter(isChanges).sort((a, b) => b.seq - a.seq)
  // Of a turn that was torn the entry may have come without its diff.
  if (!diff || !good.some(({ id }) => id === diff.turnId) || (shown?.seq ?? 0) > diff.seq) {
    return offences
  }
  const [kept, told] = [pathsOf(diff.files), pathsOf(shown?.files ?? [])]
  if (canonical(kept) === canonical(told)) return offences
  return [...offences, `[changes] ${canonical(kept)} is stored, ${canonical(told)} is shown`]
}

const isChanges = (entry: Entry): entry is Changes => entry.kind === "changes"

const pathsOf = (files: unknown): unknown[] =>
  Array.isArray(files) ? files.map(({ path }) => path) : [files]

import { changesKey } from "#protocol/entry"
import type { Claim } from "#protocol/work"
import { boundDiff } from "./bound-diff.ts"
import { within } from "./end-work.ts"
import type { Ledger } from "./ledger.ts"
import type { Emit, Workspace } from "./ports.ts"

const diffMs = 15_000

export type ReportChangesOptions = {
  workspace: Workspace
  emit: Emit
  ledger: Pick<Ledger, "record" | "keepToldChanges">
}

/**
 * Tells the session's changes as the turn left them, also that there are none: whoever asks while the sandbox sleeps is
 * answered by the newest turn. The timeline names them unless there are none and were none before. Rejects when the
 * workspace cannot be read.
 */
export async function reportChanges(
  { workspace, emit, ledger }: ReportChangesOptions,
  turnId: Claim["turnId"],
): Promise<void> {
  const diff = boundDiff(await within(diffMs, workspace.changes()))
  const files = diff.files.map(({ binary, patch, ...file }) => file)
  // Noted before they are shown and forgotten after: a runner that is restarted in between shows once too often.
  if (files.length > 0) ledger.keepToldChanges(true)
  if (ledger.record.toldChanges) {
    emit.entry({ key: changesKey(turnId), turnId, kind: "changes", files })
  }
  emit.report({ type: "turn.diff", turnId, diff })
  if (files.length === 0) ledger.keepToldChanges(false)
}

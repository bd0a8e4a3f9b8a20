import { statusKey } from "../protocol/entry.ts"
import type { StatusChange } from "../protocol/work.ts"
import { appendEntry } from "./append.ts"
import { flush } from "./flush.ts"
import { accept, type Step } from "./step.ts"

/** Writes status changes into the timeline in the order of their versions, each once. */
export function takeStatus(step: Step, replyId: string, changes: StatusChange[]): void {
  const { meta, dirty } = step.state
  for (const { version, status, reason } of changes.toSorted((a, b) => a.version - b.version)) {
    if (version <= meta.statusVersion) continue
    appendEntry(step, { key: statusKey(version), turnId: null, kind: "status", status, reason })
    meta.statusVersion = version
    dirty.add("statusVersion")
  }
  flush(step)
  accept(step, replyId)
}

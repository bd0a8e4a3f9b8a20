import { entrySchema } from "../protocol/entry.ts"
import type { RoomReader } from "./reader.ts"
import type { RoomState } from "./state.ts"

/** After a restart: the unfinished texts and tools as they were stored, deltas of the last life being lost. */
export function restoreOpen(state: RoomState, reader: RoomReader): void {
  for (const key of state.meta.open) {
    const body = reader.body(key)
    if (body === null) continue
    const { seq: _, firstSeq, at: __, ...draft } = entrySchema.parse(JSON.parse(body))
    if (draft.kind === "tool") state.openTools.set(key, draft)
    if (draft.kind === "text" || draft.kind === "reasoning") {
      const length = draft.text.length
      state.openTexts.set(key, {
        draft,
        firstSeq,
        text: draft.text,
        stored: length,
        shown: length,
        asked: false,
      })
    }
  }
}

import type { DraftEntry, DraftEntryOf } from "../protocol/entry.ts"
import type { Delta } from "../protocol/runner.ts"
import { appendEntry, flushSoon } from "./append.ts"
import type { OpenText, RoomState } from "./state.ts"
import { instant, note, type Step, toRunner } from "./step.ts"
import { liveClaim } from "./work.ts"

type DraftText = DraftEntryOf<"text" | "reasoning">

/** Takes an entry that the runner wrote. What only the room writes is left out. */
export function takeEntry(step: Step, draft: DraftEntry) {
  if (isRoomsOwn(draft)) return note(step, "entry-refused", { key: draft.key, kind: draft.kind })

  if (isLateCheckpoint(step, draft)) return
  const live = liveClaim(step.state)
  const mayStayOpen = live !== null && (draft.turnId === null || draft.turnId === live.turnId)
  const entry = mayStayOpen && !draft.removed ? draft : closed(step, draft)
  switch (entry.kind) {
    case "text":
    case "reasoning":
      return entry.done ? finishText(step, entry) : growText(step, entry)
    case "tool":
      trackTool(step.state, entry)
      break
  }
  appendEntry(step, entry)
}

/** Takes streamed pieces. One that does not continue its text makes the room ask for a checkpoint, once. */
export function takeDeltas(step: Step, deltas: Delta[]): void {
  const { state } = step
  const lost: string[] = []
  for (const [key, offset, piece] of deltas) {
    const open = state.openTexts.get(key)
    if (!open) continue
    const overlap = open.text.length - offset
    if (overlap >= piece.length) continue
    if (overlap >= 0) {
      grow(state, key, open, piece.slice(overlap))
      flushSoon(step)
    } else if (!open.asked) {
      open.asked = true
      lost.push(key)
    }
  }
  if (lost.length > 0) toRunner(step, { type: "resend", keys: lost })
}

/** Closes what is unfinished, as far as it came: nobody will finish it. */
export function closeOpenParts(step: Step): void {
  const { openTexts, openTools } = step.state
  for (const { draft, text } of [...openTexts.values()])
    finishText(step, { ...draft, text, done: true })
  for (const draft of [...openTools.values()]) {
    const entry = closedTool(step, draft)
    trackTool(step.state, entry)
    appendEntry(step, entry)
  }
}

function isRoomsOwn({ kind, key }: DraftEntry): boolean {
  return (
    kind === "prompt" || kind === "status" || key.startsWith("prompt:") || key.startsWith("status:")
  )
}

/** Nothing of a turn that is not running stays open. */
function closed(step: Step, draft: DraftEntry): DraftEntry {
  if (draft.kind === "text" || draft.kind === "reasoning") return { ...draft, done: true }
  return draft.kind === "tool" ? closedTool(step, draft) : draft
}

function closedTool(step: Step, draft: DraftEntryOf<"tool">): DraftEntryOf<"tool"> {
  if (!isUnfinished(draft)) return draft
  return { ...draft, state: "error", endedAt: draft.endedAt ?? instant(step) }
}

const isUnfinished = ({ state }: DraftEntryOf<"tool">) => state === "pending" || state === "running"

function trackTool(state: RoomState, draft: DraftEntryOf<"tool">): void {
  const known = state.openTools.has(draft.key)
  if (isUnfinished(draft)) state.openTools.set(draft.key, draft)
  else state.openTools.delete(draft.key)
  if (known !== isUnfinished(draft)) state.dirty.add("open")
}

/** A finished text is the agent's own, whatever was streamed before. */
function finishText(step: Step, draft: DraftText): void {
  const { state } = step
  appendEntry(step, draft)
  state.pending.grown.delete(draft.key)
  if (state.openTexts.delete(draft.key)) state.dirty.add("open")
}

/** A checkpoint of an open text. It never takes back what was streamed already (I6). */
function growText(step: Step, draft: DraftText) {
  const { state } = step
  const open = state.openTexts.get(draft.key)
  if (!open) return openText(step, draft)

  const continues = draft.text.startsWith(open.text)
  if (continues) grow(state, draft.key, open, draft.text.slice(open.text.length))
  else if (!open.text.startsWith(draft.text)) {
    open.text = draft.text
    open.whole = true
  }
  if (draft.kind !== open.draft.kind || draft.turnId !== open.draft.turnId) open.whole = true
  open.draft = draft
  open.asked = false
  appendEntry(step, draft)
}

function openText(step: Step, draft: DraftText): void {
  const { state } = step
  appendEntry(step, draft)
  const firstSeq = state.pending.entries.get(draft.key)?.firstSeq ?? state.meta.log.head
  const { text } = draft
  state.openTexts.set(draft.key, {
    draft,
    firstSeq,
    text,
    fresh: "",
    whole: true,
    stored: 0,
    asked: false,
  })
  state.dirty.add("open")
}

/** A checkpoint that was sent again after its text had ended is older than that end. */
function isLateCheckpoint(step: Step, draft: DraftEntry): boolean {
  const isText = draft.kind === "text" || draft.kind === "reasoning"
  if (!isText || draft.done || draft.removed || step.state.openTexts.has(draft.key)) return false
  return finishedText(step, draft.key)?.startsWith(draft.text) === true
}

function finishedText({ state, reader }: Step, key: string): string | null {
  const pending = state.pending.entries.get(key)?.draft
  if (pending) return "text" in pending ? pending.text : null
  const body = reader.body(key)
  if (body === null) return null
  const stored: unknown = JSON.parse(body)
  const holdsText = typeof stored === "object" && stored !== null && "text" in stored
  return holdsText && typeof stored.text === "string" ? stored.text : null
}

function grow(state: RoomState, key: string, open: OpenText, piece: string): void {
  if (piece === "") return
  open.text += piece
  open.fresh += piece
  state.pending.grown.add(key)
}

import type { DraftEntryOf } from "#protocol/entry"
import type { Delta } from "#protocol/runner"
import { storableText } from "#protocol/text"
import { cutUnits, isHighSurrogate, MAX_TEXT_UNITS } from "./bounded.ts"
import { type OpenText, type TurnState, withEntry, withoutKey } from "./turn-state.ts"
import type { PartOf } from "./wire.ts"

const minGrowthUnits = 1024
const growthShare = 0.25

type TextEntry = DraftEntryOf<"text" | "reasoning">
export type TextStep = { state: TurnState; entries: TextEntry[]; deltas: Delta[] }

/** A text part as the agent holds it: at its start, its end, or when everything is compared. */
export function translateText(state: TurnState, key: string, part: PartOf<"text">): TextStep {
  return part.time?.end === undefined ? openPart(state, key, part) : endPart(state, key, part)
}

function openPart(state: TurnState, key: string, part: PartOf<"text">): TextStep {
  const nothing = { state, entries: [], deltas: [] }
  const open = state.open.get(key) ?? emptyText(part)
  if (state.closed.has(key) || open.torn) return nothing
  const known = open.text.length + open.held.length
  if (part.text.length > known) return grow(state, key, open, part.text.slice(known))
  return { ...nothing, state: { ...state, open: withEntry(state.open, key, open) } }
}

const emptyText = ({ type, messageID }: PartOf<"text">): OpenText => ({
  kind: type,
  messageId: messageID,
  text: "",
  held: "",
  checkpointed: 0,
  torn: false,
})

/** The agent's own full text is the last word, also where it differs from what was streamed. */
function endPart(state: TurnState, key: string, part: PartOf<"text">): TextStep {
  const text = storableText(cutUnits(part.text, MAX_TEXT_UNITS))
  const sent = state.closed.get(key)?.entry.text ?? state.open.get(key)?.text ?? ""
  if (text === "" && sent === "") {
    return { state: { ...state, open: withoutKey(state.open, key) }, entries: [], deltas: [] }
  }
  return close(state, key, { kind: part.type, messageId: part.messageID, text })
}

/** A piece that the model has just written. Pieces of parts that are not open are healed when all is compared. */
export function growText(state: TurnState, key: string, piece: string): TextStep {
  const open = state.open.get(key)
  if (!open || open.torn) return { state, entries: [], deltas: [] }
  return grow(state, key, open, piece)
}

function grow(state: TurnState, key: string, open: OpenText, piece: string): TextStep {
  const arrived = open.held + piece
  const held = isHighSurrogate(arrived.charCodeAt(arrived.length - 1)) ? arrived.slice(-1) : ""
  const whole = storableText(held ? arrived.slice(0, -1) : arrived)
  const added = cutUnits(whole, MAX_TEXT_UNITS - open.text.length)
  const text = open.text + added
  const due =
    text.length - open.checkpointed >= Math.max(minGrowthUnits, open.checkpointed * growthShare)
  const first = open.text === "" && text !== ""
  const checkpoint = first || (due && added !== "")
  const next = { ...open, text, held, checkpointed: checkpoint ? text.length : open.checkpointed }
  const delta: Delta = [key, open.text.length, added]
  return {
    state: { ...state, open: withEntry(state.open, key, next) },
    entries: checkpoint ? [textEntry(state, key, open.kind, text, false)] : [],
    // The first piece is the entry itself: viewers need it before any delta.
    deltas: first || added === "" ? [] : [delta],
  }
}

type Ended = Pick<OpenText, "kind" | "messageId" | "text">

function close(state: TurnState, key: string, { kind, messageId, text }: Ended): TextStep {
  if (state.closed.get(key)?.entry.text === text) return { state, entries: [], deltas: [] }
  const entry = textEntry(state, key, kind, text, true)
  const open = withoutKey(state.open, key)
  const closed = withEntry(state.closed, key, { messageId, entry })
  return { state: { ...state, open, closed }, entries: [entry], deltas: [] }
}

/** Ends every open text as far as it came: the agent will not finish it. */
export function closeTexts(state: TurnState): TextStep {
  let step: TextStep = { state, entries: [], deltas: [] }
  for (const [key, open] of state.open) {
    if (open.text === "") continue
    const text = open.text + storableText(open.held)
    const closed = close(step.state, key, { ...open, text })
    step = { ...closed, entries: [...step.entries, ...closed.entries] }
  }
  return step
}

/**
 * A message that begins once more answers a model call that broke off: the new texts take the place of those that the
 * message had before. A reader keeps both and is told which count.
 */
export function replaceTexts(state: TurnState, messageId: string, startKey: string): TextStep {
  const isReplaced = ([key, text]: [string, { messageId: string }]) =>
    text.messageId === messageId && key < startKey
  const dropped = new Map([...state.open].filter(isReplaced))
  let { closed } = closeTexts({ ...state, open: dropped }).state
  const entries: TextEntry[] = []
  for (const [key, text] of [...closed].filter(isReplaced)) {
    if (text.entry.replaced) continue
    const entry: TextEntry = { ...text.entry, replaced: true }
    closed = withEntry(closed, key, { ...text, entry })
    entries.push(entry)
  }
  const open = new Map([...state.open].filter(([key]) => !dropped.has(key)))
  return { state: { ...state, open, closed }, entries, deltas: [] }
}

/** Pieces may be missing: what is open does not grow any more until its end brings the whole. */
export function tearTexts(state: TurnState): TurnState {
  const torn = [...state.open].map(([key, open]) => [key, { ...open, torn: true }] as const)
  return { ...state, open: new Map(torn) }
}

/** What the room needs to know of these texts again, open or ended. */
export function resendTexts(state: TurnState, keys: string[]): TextStep {
  let { open } = state
  const entries: TextEntry[] = []
  for (const key of keys) {
    const closed = state.closed.get(key)
    const growing = open.get(key)
    if (closed) entries.push(closed.entry)
    if (!growing || growing.text === "") continue
    entries.push(textEntry(state, key, growing.kind, growing.text, false))
    open = withEntry(open, key, { ...growing, checkpointed: growing.text.length })
  }
  return { state: { ...state, open }, entries, deltas: [] }
}

function textEntry(
  { turnId }: TurnState,
  key: string,
  kind: OpenText["kind"],
  text: string,
  done: boolean,
): TextEntry {
  return { key, turnId, kind, text, done }
}

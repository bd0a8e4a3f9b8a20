import type { DraftEntryOf } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Delta, FromRunnerOf } from "#protocol/runner"
import type { OutboxItem } from "#protocol/work"

/**
 * Streamed text, parts of text and tool calls are nearly all that a runner says, and a room that checked each of them
 * against the whole schema would be busy with that above all. These checks recognise the plain ones; what they do not
 * recognise (an unusual kind, an optional field, a field too many, text that must be made storable) is the schema's to
 * judge. They never accept what the schema would refuse or change.
 */
export function isPlainMessage(
  value: unknown,
): value is FromRunnerOf<"deltas"> | FromRunnerOf<"items"> {
  if (!isRecord(value)) return false
  if (value.type === "deltas") return sizeOf(value) === 2 && isListOf(value.deltas, isPlainDelta)
  return (
    value.type === "items" &&
    sizeOf(value) === 3 &&
    isCount(value.from) &&
    value.from > 0 &&
    isListOf(value.items, isPlainItem)
  )
}

function isPlainDelta(value: unknown): value is Delta {
  if (!Array.isArray(value) || value.length !== 3) return false
  const [key, offset, text]: unknown[] = value
  return typeof key === "string" && isCount(offset) && isStorable(text)
}

function isPlainItem(value: unknown): value is OutboxItem {
  if (!isRecord(value) || sizeOf(value) !== 1 || !isRecord(value.entry)) return false
  const { entry } = value
  if (!isKey(entry.key) || !isTurnId(entry.turnId)) return false
  return isPlainText(entry) || isPlainTool(entry)
}

function isPlainText(entry: Fields): entry is DraftEntryOf<"text" | "reasoning"> {
  return (
    (entry.kind === "text" || entry.kind === "reasoning") &&
    sizeOf(entry) === 5 &&
    isStorable(entry.text) &&
    typeof entry.done === "boolean"
  )
}

const TOOL_STATES: readonly unknown[] = ["pending", "running", "completed", "error"]

function isPlainTool(entry: Fields): entry is DraftEntryOf<"tool"> {
  return (
    entry.kind === "tool" &&
    sizeOf(entry) === 12 &&
    isStorable(entry.name) &&
    isStorable(entry.title) &&
    isStorableJson(entry.input, MAX_DEPTH) &&
    TOOL_STATES.includes(entry.state) &&
    isStorable(entry.output) &&
    typeof entry.truncated === "boolean" &&
    isCount(entry.bytes) &&
    isInstantOrNull(entry.startedAt) &&
    isInstantOrNull(entry.endedAt)
  )
}

type Fields = Record<string, unknown>

const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const sizeOf = (value: Fields) => Object.keys(value).length

function isListOf<Item>(
  value: unknown,
  isItem: (item: unknown) => item is Item,
): value is [Item, ...Item[]] {
  return Array.isArray(value) && value.length > 0 && value.every(isItem)
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

const isStorable = (value: unknown): value is string =>
  typeof value === "string" && value.isWellFormed() && !value.includes("\u0000")

const isKey = (value: unknown) => isStorable(value) && value.length > 0 && value.length <= 200

/** The turn is the same for thousands of messages in a row. */
let lastTurnId: unknown = null

function isTurnId(value: unknown): boolean {
  if (value === lastTurnId || value === null) return true
  if (!promptIdSchema.safeParse(value).success) return false
  lastTurnId = value
  return true
}

function isInstantOrNull(value: unknown): boolean {
  if (value === null) return true
  if (typeof value !== "string") return false
  const at = Date.parse(value)
  return !Number.isNaN(at) && new Date(at).toISOString() === value
}

const MAX_DEPTH = 16

function isStorableJson(value: unknown, depth: number): boolean {
  if (typeof value === "string") return isStorable(value)
  if (typeof value === "number") return Number.isFinite(value)
  if (value === null || typeof value === "boolean") return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every((inner) => isStorableJson(inner, depth - 1))
  if (!isRecord(value)) return false
  return Object.entries(value).every(
    ([key, inner]) => isStorable(key) && isStorableJson(inner, depth - 1),
  )
}

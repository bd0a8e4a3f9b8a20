/** Characters of JSON that one outbox item may take, so that a message with one item always fits. */
export const MAX_ITEM_CHARS = 900 * 1024

type Limits = { textChars: number; listLength: number }

/**
 * The JSON of `value`, at most `maxChars` long. Producers bound their own items; this is the last guard, since one
 * oversized item would block every later one. What is too long loses its tail, longest texts and lists first, and
 * `truncated` flags around a cut become true.
 */
export function fitJson(value: object, maxChars = MAX_ITEM_CHARS): string {
  let json = JSON.stringify(value)
  const limits: Limits = { textChars: maxChars, listLength: 65_536 }
  while (json.length > maxChars && limits.textChars > 1) {
    limits.textChars = Math.floor(limits.textChars / 2)
    limits.listLength = Math.floor(limits.listLength / 2)
    json = JSON.stringify(cut(value, limits).value)
  }
  return json
}

type Cut = { value: unknown; shorter: boolean }

function cut(value: unknown, limits: Limits): Cut {
  if (typeof value === "string") return cutText(value, limits.textChars)
  if (Array.isArray(value)) return cutList(value, limits)
  if (value === null || typeof value !== "object") return { value, shorter: false }
  const fields = Object.entries(value).map(([key, inner]) => [key, cut(inner, limits)] as const)
  const shorter = fields.some(([, inner]) => inner.shorter)
  const kept: Record<string, unknown> = Object.fromEntries(
    fields.map(([key, inner]) => [key, inner.value]),
  )
  if (shorter && typeof kept.truncated === "boolean") kept.truncated = true
  return { value: kept, shorter }
}

function cutText(text: string, chars: number): Cut {
  if (text.length <= chars) return { value: text, shorter: false }
  return { value: text.slice(0, chars).toWellFormed(), shorter: true }
}

function cutList(list: unknown[], limits: Limits): Cut {
  const items = list.slice(0, limits.listLength).map((item) => cut(item, limits))
  const shorter = items.length < list.length || items.some((item) => item.shorter)
  return { value: items.map((item) => item.value), shorter }
}

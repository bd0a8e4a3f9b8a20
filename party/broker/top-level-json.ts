/** Where one top-level member's value stands in the bytes: `start` up to but not including `end`. */
export type Span = { start: number; end: number }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/**
 * The places of the top-level members of a JSON object, without building the object: a call with 10 MB of images costs
 * a few milliseconds and no second copy. Of a repeated name the last one counts. Null when the bytes are no object; what
 * is nested is not checked, which is the reader's business.
 */
export function topLevelMembers(json: Uint8Array): Map<string, Span> | null {
  const members = new Map<string, Span>()
  let at = skipSpace(json, 0)
  if (json[at] !== OPEN_OBJECT) return null
  at = skipSpace(json, at + 1)
  if (json[at] === CLOSE_OBJECT) return members

  while (json[at] === QUOTE) {
    const nameEnd = endOfString(json, at)
    const name = parsedString(json, at, nameEnd)
    at = skipSpace(json, nameEnd)
    if (name === null || json[at] !== COLON) return null
    const start = skipSpace(json, at + 1)
    at = endOfValue(json, start)
    members.set(name, { start, end: at })
    at = skipSpace(json, at)
    if (json[at] === CLOSE_OBJECT) return members
    if (json[at] !== COMMA) return null
    at = skipSpace(json, at + 1)
  }
  return null
}

/** The value of one member, or undefined when it is not there or not JSON. */
export function memberValue(json: Uint8Array, span: Span | undefined): unknown {
  if (!span) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(json.subarray(span.start, span.end)))
  } catch {
    return undefined
  }
}

function skipSpace(json: Uint8Array, from: number): number {
  let at = from
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at++
  return at
}

/** After the closing quote of the string that opens at `open`, or the end of the bytes. */
function endOfString(json: Uint8Array, open: number): number {
  let close = open
  for (;;) {
    close = json.indexOf(QUOTE, close + 1)
    if (close < 0) return json.length
    let slashes = 0
    while (json[close - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return close + 1
  }
}

function endOfValue(json: Uint8Array, start: number): number {
  let depth = 0
  let at = start
  while (at < json.length) {
    const byte = json[at]
    if (byte === QUOTE) {
      at = endOfString(json, at)
      if (depth === 0) return at
      continue
    }
    if (depth === 0 && (byte === COMMA || byte === CLOSE_OBJECT)) return at
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--
      if (depth === 0) return at + 1
    }
    at++
  }
  return at
}

function parsedString(json: Uint8Array, start: number, end: number): string | null {
  const value = memberValue(json, { start, end })
  return typeof value === "string" ? value : null
}

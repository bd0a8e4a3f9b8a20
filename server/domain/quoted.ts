const MAX_CHARS = 80

/** What somebody typed, fit to stand in a sentence: short, without a sign-in, nothing invisible in it. */
export function quoted(text: string): string {
  const safe = text.replace(/\/\/\S*@/gu, "//…@").replace(/[\p{C}\u2028\u2029]/gu, "\ufffd")
  const chars = [...safe]
  return chars.length > MAX_CHARS ? `“${chars.slice(0, MAX_CHARS).join("")}…”` : `“${safe}”`
}

import { storableText } from "#protocol/text"

const MAX_TITLE_CHARS = 80

/** A one-line title: control characters and runs of blanks become one blank, a long one is cut at a word. */
export function sessionTitle(text: string): string {
  const lines = storableText(text).split(/\r?\n/)
  const line = lines.map((each) => each.replace(/[\p{Cc}\s]+/gu, " ").trim()).find(Boolean) ?? ""
  const chars = [...line]
  if (chars.length <= MAX_TITLE_CHARS) return line
  const cut = chars.slice(0, MAX_TITLE_CHARS - 1).join("")
  const atWord = cut.replace(/\s+\S*$/, "")
  return `${atWord.length > MAX_TITLE_CHARS / 2 ? atWord : cut}…`
}

import { storableText } from "#protocol/text"

const MAX_TITLE_CHARS = 80

/** For a session whose first prompt shows nothing that could name it. */
export const UNTITLED = "Untitled session"

/** What shows nothing by itself. Some of it joins the characters of visible text and has to stay in there. */
const INVISIBLE = /[\p{Cc}\s\p{Default_Ignorable_Code_Point}\u2800]/gu

/**
 * A one-line title, "" when no line shows anything: control characters and runs of blanks become one blank, a long one
 * is cut at a word. Marks that turn the direction of writing are left out, as they would turn the page around it too.
 */
export function sessionTitle(text: string): string {
  const line = storableText(text).split(/\r?\n/).find(namesIt) ?? ""
  const plain = line
    .replace(/\p{Bidi_Control}/gu, "")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
  const chars = [...plain]
  if (chars.length <= MAX_TITLE_CHARS) return plain
  const cut = chars.slice(0, MAX_TITLE_CHARS - 1).join("")
  const atWord = cut.replace(/\s+\S*$/, "")
  return `${atWord.length > MAX_TITLE_CHARS / 2 ? atWord : cut}…`
}

/** A line that shows something, and does not only open or close a block of code. */
function namesIt(line: string): boolean {
  const visible = line.replace(INVISIBLE, "")
  return visible !== "" && !/^(`{3,}|~{3,})[^`]*$/.test(visible)
}

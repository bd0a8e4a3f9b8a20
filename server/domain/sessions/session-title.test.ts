import { expect, test } from "vitest"
import { sessionTitle } from "./session-title.ts"

test("a title is the first line that says something, in one line", () => {
  expect(sessionTitle("\n  Fix\tthe   login \r\nand then more")).toBe("Fix the login")
  expect(sessionTitle(" \n ")).toBe("")
})

const INVISIBLE =
  "\u200b\ufeff\u200e\u202e\u2066\u2060\u00ad\u3164\u2800\u0007\u0085\u2028\u180e\u034f"

test("a line that shows nothing names nothing, and the next one counts", () => {
  for (const char of INVISIBLE) expect(sessionTitle(char), JSON.stringify(char)).toBe("")
  expect(sessionTitle(INVISIBLE)).toBe("")
  expect(sessionTitle(`${INVISIBLE}\nFix it`)).toBe("Fix it")
})

test("the fence of a block of code names nothing, what stands in it does", () => {
  expect(sessionTitle("```ts\nconst a = 1\n```")).toBe("const a = 1")
  expect(sessionTitle("~~~\n~~~")).toBe("")
  expect(sessionTitle("```npm test``` fails")).toBe("```npm test``` fails")
})

test("marks that turn the direction of writing are left out", () => {
  expect(sessionTitle("a\u202eb\u2066c\u200fd\u061ce\u2069")).toBe("abcde")
  expect(sessionTitle("שלום עולם")).toBe("שלום עולם")
})

test("what joins visible characters stays", () => {
  expect(sessionTitle("👩‍💻 می‌خواهم 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️")).toBe("👩‍💻 می‌خواهم 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️")
})

test("a long title is cut at a word, never inside a character", () => {
  expect(sessionTitle(`${"word ".repeat(30)}`)).toMatch(/^(word )+word…$/)
  const emoji = sessionTitle("🙂".repeat(200))
  expect(emoji.isWellFormed()).toBe(true)
  expect([...emoji]).toHaveLength(80)
})

import { expect, test } from "vitest"
import { sessionTitle } from "./session-title.ts"

test("a title is the first line that says something, in one line", () => {
  expect(sessionTitle("\n  Fix\tthe   login \r\nand then more")).toBe("Fix the login")
  expect(sessionTitle(" \n ")).toBe("")
})

test("a long title is cut at a word, never inside a character", () => {
  expect(sessionTitle(`${"word ".repeat(30)}`)).toMatch(/^(word )+word…$/)
  const emoji = sessionTitle("🙂".repeat(200))
  expect(emoji.isWellFormed()).toBe(true)
  expect([...emoji]).toHaveLength(80)
})

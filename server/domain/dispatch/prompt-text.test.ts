import { expect, test } from "vitest"
import { MAX_PROMPT_CHARS } from "#protocol/limits"
import { promptText } from "./prompt-text.ts"

test("an empty prompt is refused with a sentence", () => {
  expect(() => promptText(" \n\t")).toThrow(expect.objectContaining({ reason: "prompt-empty" }))
})

test("the longest prompt passes, one character more answers PAYLOAD_TOO_LARGE", () => {
  expect(promptText("x".repeat(MAX_PROMPT_CHARS))).toHaveLength(MAX_PROMPT_CHARS)
  expect(() => promptText("x".repeat(MAX_PROMPT_CHARS + 1))).toThrow(
    expect.objectContaining({ reason: "prompt-too-long", code: "PAYLOAD_TOO_LARGE" }),
  )
})

test("what PostgreSQL cannot store becomes visible characters of the same length", () => {
  const raw = "a\u0000b\ud800c"
  expect(promptText(raw)).toBe("a\u2400b\ufffdc")
})

import { expect, test } from "vitest"
import { quoted } from "./quoted.ts"

test.each([
  ["git@host:x", "“git@host:x”"],
  ["https://me:secret@host/x y", "“https://…@host/x y”"],
  ["a\u0000b\u202ec\ud800\nd", "“a\ufffdb\ufffdc\ufffd\ufffdd”"],
  ["💥".repeat(81), `“${"💥".repeat(80)}…”`],
  ["", "“”"],
])("%j is quoted as %s", (text, shown) => {
  expect(quoted(text)).toBe(shown)
})

import { expect, test } from "vitest"
import { branchName } from "./branch-name.ts"

test.each(["main", "feature/login", "v1.2.3", "fix-#12", "größe", "a@b", "-".padStart(3, "x")])(
  "%s is a branch name",
  (name) => {
    expect(branchName(name)).toBe(name)
  },
)

test.each([
  "",
  "-delete",
  "--upload-pack=x",
  "a..b",
  "a b",
  "a~1",
  "a^",
  "a:b",
  "a?",
  "a*",
  "a[0]",
  "a\\b",
  "a\u0000b",
  "a\nb",
  "/a",
  "a/",
  "a//b",
  ".hidden",
  "a/.b",
  "a.lock",
  "a.lock/b",
  "a.",
  "@",
  "a@{1}",
  "x".repeat(245),
  "\ud800",
])("%j is refused, and the message says why", (name) => {
  expect(() => branchName(name)).toThrow(/^“.*” cannot be a branch: it \S+.* Use /s)
})

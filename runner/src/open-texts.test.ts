import { expect, test } from "vitest"
import { OpenTexts } from "./open-texts.ts"

test("texts are open from their first version to their last", () => {
  const open = new OpenTexts()
  const entry = { turnId: null, text: "" }

  open.note({ ...entry, key: "a", kind: "text", done: false })
  open.note({ ...entry, key: "b", kind: "reasoning", done: false })
  open.note({ ...entry, key: "c", kind: "text", done: false })
  open.note({ ...entry, key: "a", kind: "text", done: true })
  open.note({ ...entry, key: "c", kind: "text", done: false, removed: true })
  open.note({ key: "d", turnId: null, kind: "error", reason: "r", message: "m" })

  expect(open.keys).toEqual(["b"])
})

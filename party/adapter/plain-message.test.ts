import * as fc from "fast-check"
import { expect, test } from "vitest"
import { fromRunnerSchema } from "#protocol/runner"
import { isPlainMessage } from "./plain-message.ts"

const TEXT = { key: "prt_1", turnId: "t1", kind: "text", text: "héllo 😀", done: false }
const TOOL = {
  key: "prt_2",
  turnId: null,
  kind: "tool",
  name: "bash",
  title: "ls",
  input: { command: "ls", list: [1, -0.5, null, true, { deep: "x" }] },
  state: "completed",
  output: "a\nb",
  truncated: false,
  bytes: 3,
  startedAt: "2026-11-22T10:00:00.000Z",
  endedAt: null,
}
const items = (...entries: unknown[]) => ({
  type: "items",
  from: 1,
  items: entries.map((entry) => ({ entry })),
})
const deltas = (...list: unknown[]) => ({ type: "deltas", deltas: list })

test.each([
  items(TEXT, TOOL),
  items({ ...TEXT, kind: "reasoning", done: true }),
  deltas(["k", 0, "a"]),
])("what is plain is recognised, and the schema would take it as it is: %j", (message) => {
  expect(isPlainMessage(message)).toBe(true)
  expect(fromRunnerSchema.parse(message)).toEqual(message)
})

test.each([
  { ...items(TEXT), from: 0 },
  { ...items(TEXT), from: 1.5 },
  { ...items(TEXT), extra: 1 },
  items(),
  items({ ...TEXT, text: "\u0000" }),
  items({ ...TEXT, text: "\ud800" }),
  items({ ...TEXT, key: "" }),
  items({ ...TEXT, key: "k".repeat(201) }),
  items({ ...TEXT, key: "\u0000" }),
  items({ ...TEXT, turnId: "no spaces" }),
  items({ ...TEXT, done: 1 }),
  items({ ...TEXT, removed: true }),
  items({ ...TEXT, extra: 1 }),
  items({ ...TOOL, bytes: -1 }),
  items({ ...TOOL, state: "done" }),
  items({ ...TOOL, startedAt: "2026-02-31T10:00:00.000Z" }),
  items({ ...TOOL, startedAt: "yesterday" }),
  items({ ...TOOL, input: { "\u0000": 1 } }),
  items({ ...TOOL, input: Number.POSITIVE_INFINITY }),
  items({ ...TOOL, input: JSON.parse("[".repeat(50) + "]".repeat(50)) }),
  items({ ...TOOL, childSessionId: "x" }),
  { type: "items", from: 1, items: [{ report: {} }] },
  deltas(),
  deltas(["k", -1, "a"]),
  deltas(["k", 0, "\u0000"]),
  deltas(["k", 0]),
  { type: "answer" },
  null,
  [],
  "items",
])("what is not plain is left to the schema: %j", (message) => {
  expect(isPlainMessage(message)).toBe(false)
})

test("whatever is recognised, the schema takes unchanged", () => {
  const odd = fc.oneof(fc.jsonValue(), fc.string({ unit: "binary" }), fc.integer(), fc.double())
  const changed = <Entry extends object>(entry: Entry) =>
    fc
      .tuple(fc.constantFrom(...Object.keys(entry)), odd)
      .map(([name, value]) => ({ ...entry, [name]: value }))
  const message = fc.oneof(
    fc.array(fc.oneof(changed(TEXT), changed(TOOL)), { minLength: 1 }).map((all) => items(...all)),
    fc
      .array(fc.tuple(fc.string({ unit: "binary" }), odd, fc.string({ unit: "binary" })))
      .map((all) => deltas(...all)),
    fc.jsonValue(),
  )
  void fc.assert(
    fc.property(message, (value) => {
      if (isPlainMessage(value)) expect(fromRunnerSchema.parse(value)).toEqual(value)
    }),
    { numRuns: 1_000 },
  )
})

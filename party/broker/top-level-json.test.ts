import fc from "fast-check"
import { expect, test } from "vitest"
import { memberValue, topLevelMembers } from "./top-level-json.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

function read(text: string): Record<string, unknown> | null {
  const json = bytes(text)
  const members = topLevelMembers(json)
  return (
    members &&
    Object.fromEntries([...members].map(([name, span]) => [name, memberValue(json, span)]))
  )
}

test("an object's members have the values that a whole parse gives them", () => {
  const members = fc.dictionary(
    fc.string({ unit: "binary" }).filter((name) => name !== "__proto__"),
    fc.jsonValue(),
  )
  void fc.assert(
    fc.property(members, fc.constantFrom(undefined, 1, "\t", "\r\n "), (object, indent) => {
      const text = JSON.stringify(object, null, indent)
      expect(read(` ${text}\n`)).toEqual(JSON.parse(text))
    }),
  )
})

test("of a repeated name the last one counts, as for whoever parses it later", () => {
  expect(read('{"model":"a","model":"b"}')).toEqual({ model: "b" })
})

test("a name may be written with escapes", () => {
  expect(read('{"mod\\u0065l":"a"}')).toEqual({ model: "a" })
})

test.each([
  "",
  "  ",
  "[]",
  '"{}"',
  "null",
  "{",
  '{"a"',
  '{"a":',
  '{"a":1',
  '{"a" 1}',
  "{a:1}",
  "{,}",
])("what is no object has no members: %s", (text) => {
  expect(read(text)).toBeNull()
})

test("any bytes come to an end", () => {
  void fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (tail) => {
      topLevelMembers(new Uint8Array([0x7b, 0x22, ...tail]))
    }),
  )
})

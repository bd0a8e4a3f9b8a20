import fc from "fast-check"
import { expect, test } from "vitest"
import { joinBytes } from "../adapter/bytes.ts"
import { KeyFilter, redactText } from "./redact.ts"

const KEY = "sk-sk-secret"
const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function filtered(text: string, cuts: number[]): string {
  const bytes = encode(text)
  const filter = new KeyFilter(KEY)
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  )
  const pieces = places.map((end, i) => filter.read(bytes.subarray(places[i - 1] ?? 0, end)))
  return decode(joinBytes([...pieces, filter.end()]))
}

test("no cut of the stream lets the key through, and nothing else is changed", () => {
  const piece = fc.constantFrom(KEY, "sk-", "sk-sk-", "sk-sk-secre", "s", "t", "é", "data: 1\n\n")
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""))
  void fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 8 }), (whole, cuts) => {
      expect(filtered(whole, cuts)).toBe(redactText(whole, KEY))
    }),
    { numRuns: 500 },
  )
})

test("bytes that cannot begin the key are not held back", () => {
  const filter = new KeyFilter(KEY)
  const chunk = encode("data: hello\n\n")
  expect(filter.read(chunk)).toEqual(chunk)
  expect(decode(filter.read(encode("ask-")))).toBe("a")
  expect(decode(filter.read(encode("ing")))).toBe("sk-ing")
  expect(filter.end()).toHaveLength(0)
})

test("without a key there is nothing to take out", () => {
  expect(redactText("anything", null)).toBe("anything")
})

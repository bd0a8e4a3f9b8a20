import { expect, test } from "vitest"
import { decodeFromRunner, decodeFromViewer } from "./decode.ts"

const DEPTH = 60_000
const deep = "[".repeat(DEPTH) + "]".repeat(DEPTH)

const toolWith = (input: string) =>
  `{"type":"items","from":1,"items":[{"entry":{"key":"t","turnId":"prm_1","kind":"tool","name":"x","title":"","input":${input},"state":"running","output":"","truncated":false,"bytes":0,"startedAt":null,"endedAt":null}}]}`

test("a tool's input of 64 levels is taken as it is", () => {
  const input = JSON.parse("[".repeat(64) + "]".repeat(64))
  const decoded = decodeFromRunner(toolWith(JSON.stringify(input)))
  expect(decoded).toMatchObject({ ok: true, value: { items: [{ entry: { input } }] } })
})

test("what is nested too deeply to be checked is not called something else than JSON", () => {
  expect(() => JSON.parse(deep)).not.toThrow()
  for (const decoded of [decodeFromRunner(toolWith(deep)), decodeFromRunner(`{"type":${deep}}`)]) {
    expect(decoded).toMatchObject({ ok: false })
    expect(decoded).not.toMatchObject({ problem: "Messages are JSON." })
  }
  expect(decodeFromRunner(toolWith(deep))).toEqual({
    ok: false,
    problem: "The message is nested too deeply.",
  })
})

test("what is no JSON is called that", () => {
  const problem = { ok: false, problem: "Messages are JSON." }
  expect(decodeFromRunner('{"type":')).toEqual(problem)
  expect(decodeFromViewer("hello")).toEqual(problem)
})

import { expect, test } from "vitest"
import * as z from "zod"
import { promptIdSchema } from "#protocol/ids"
import { outboxItemSchema } from "#protocol/work"
import { boundJson } from "./bounded.ts"
import { translate } from "./translate.ts"
import { startTurnState } from "./turn-state.ts"
import { decodeEvent } from "./wire.ts"

type Schema = z.core.JSONSchema.BaseSchema

const DEPTH = 60_000
/** As an agent's message would carry it, once parsed. */
const deepList = (): unknown => JSON.parse("[".repeat(DEPTH) + "]".repeat(DEPTH))
const deepObject = (): unknown => JSON.parse(`${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`)

/** Levels of lists and objects; nothing here is deep enough to end the stack. */
function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test("JSON of any depth becomes JSON of at most 64 levels, and says where it was cut", () => {
  for (const value of [deepList(), deepObject()]) {
    const bounded = boundJson(value)
    expect(depthOf(bounded)).toBe(64)
    expect(JSON.stringify(bounded)).toContain("… (nested too deeply)")
  }
})

test("what is within the limits stays as it is, beside what is not", () => {
  const edge = JSON.parse("[".repeat(63) + "]".repeat(63))
  const bounded = boundJson({ command: "ls", edge, deep: deepList(), after: [1, true, null] })
  expect(bounded).toMatchObject({ command: "ls", edge, after: [1, true, null] })
  expect(depthOf(bounded)).toBe(64)
})

test("what the agent nests deeply leaves the translation bounded, in a tool's input and in unknown parts", () => {
  const ids = { sessionID: "ses_1", messageID: "msg_2" }
  const parts = [
    {
      ...ids,
      id: "prt_1",
      type: "tool",
      tool: "x",
      state: { status: "running", input: { a: deepList() } },
    },
    { ...ids, id: "prt_2", type: "never-seen", inner: deepObject() },
  ]
  let state = startTurnState(promptIdSchema.parse("prm_1"), "ses_1", "msg_1")
  const entries = parts.flatMap((part) => {
    const type = "message.part.updated"
    const decoded = decodeEvent({ payload: { type, properties: { sessionID: "ses_1", part } } })
    if (decoded.kind !== "event") throw new Error(decoded.kind)
    const step = translate(state, decoded.event, 0)
    state = step.state
    return step.entries
  })
  expect(entries.map(({ kind }) => kind)).toEqual(["tool", "unknown"])
  for (const entry of entries) {
    expect(depthOf(entry)).toBeLessThanOrEqual(66)
    expect(outboxItemSchema.safeParse({ entry }).success).toBe(true)
  }
})

/** Names of the members, at any depth, whose own depth the schema does not bound. */
function endlessMembers(schema: z.ZodType): string[] {
  const root = z.toJSONSchema(schema, { io: "input" })
  const found = new Set<string>()
  const visit = (
    node: Schema | boolean | undefined,
    name: string,
    above: readonly string[],
  ): void => {
    if (typeof node !== "object") return
    if (Object.keys(node).length === 0) found.add(name)
    if (node.$ref !== undefined) {
      const target = node.$ref.split("/").at(-1) ?? ""
      if (above.includes(target)) found.add(name)
      else visit(root.$defs?.[target], name, [...above, target])
    }
    for (const [key, member] of Object.entries(node.properties ?? {})) visit(member, key, above)
    const items = Array.isArray(node.items) ? node.items : [node.items, ...(node.prefixItems ?? [])]
    const nested = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])]
    for (const inner of [...nested, ...items]) visit(inner, name, above)
    if (node.additionalProperties) visit(node.additionalProperties, name, above)
  }
  visit(root, "", [])
  return [...found].sort()
}

// Whoever comes to write gates has to bound their questions.
test("of all that may go into the outbox only these have no depth of their own, and gates are not written", () => {
  expect(endlessMembers(outboxItemSchema)).toEqual(["input", "question", "raw"])
  expect(
    endlessMembers(z.object({ a: z.array(z.object({ b: z.json(), c: z.unknown() })) })),
  ).toEqual(["b", "c"])
})

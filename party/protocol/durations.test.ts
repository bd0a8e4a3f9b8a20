import { expect, test } from "vitest"
import * as z from "zod"
import { roomCallSchema, roomPostSchema } from "./call.ts"
import { fromRunnerSchema, toRunnerSchema } from "./runner.ts"
import { sandboxSpecSchema } from "./sandbox-spec.ts"
import { fromViewerSchema, toViewerSchema } from "./viewer.ts"
import { claimSchema } from "./work.ts"

type Schema = z.core.JSONSchema.BaseSchema

const messages = {
  roomCallSchema,
  roomPostSchema,
  fromRunnerSchema,
  toRunnerSchema,
  fromViewerSchema,
  toViewerSchema,
  sandboxSpecSchema,
}

/** Names of the members, at any depth, that hold a point in time. */
function instantsOf(schema: z.ZodType): string[] {
  const found = new Set<string>()
  const visit = (node: Schema, name: string): void => {
    if (node.format === "date-time" || /(At|Until|Expiry|exp)$/.test(name)) found.add(name)
    for (const [key, member] of Object.entries(node.properties ?? {})) visitAny(member, key)
    const nested = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])]
    const items = Array.isArray(node.items) ? node.items : [node.items, ...(node.prefixItems ?? [])]
    for (const inner of [...nested, ...items]) visitAny(inner, name)
    for (const inner of Object.values(node.$defs ?? {})) visitAny(inner, name)
  }
  const visitAny = (node: Schema | boolean | undefined, name: string) => {
    if (typeof node === "object") visit(node, name)
  }
  visit(z.toJSONSchema(schema, { io: "input", reused: "inline" }), "")
  return [...found].sort()
}

// `startedAt` and `endedAt` tell of a tool's work by the sandbox's clock, `at` is the room's; nobody waits by them.
test.each(Object.entries(messages))(
  "[E9] no point in time that somebody else waits for is in a %s",
  (_, schema) => {
    const told = ["at", "endedAt", "startedAt"]
    expect(instantsOf(schema).filter((name) => !told.includes(name))).toEqual([])
  },
)

test("[E9] deadlines travel as durations in milliseconds", () => {
  for (const { shape } of [claimSchema.shape.deadlines, sandboxSpecSchema.shape.deadlines]) {
    const names = Object.keys(shape)
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((name) => !name.endsWith("Ms"))).toEqual([])
  }
})

test("[E9] a point in time in a message would be found", () => {
  const nested = z.object({ run: z.array(z.object({ giveUpAt: z.int() })) })
  expect(instantsOf(nested)).toEqual(["giveUpAt"])
})

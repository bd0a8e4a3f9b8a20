import * as z from "zod"

type Schema = z.core.JSONSchema.JSONSchema

/** Schemas that others refer to by name instead of repeating them. */
export type Named = Record<string, z.ZodType>

const MAX_LINE_CHARS = 110

/** What a schema takes, in the notation of TypeScript; `integer` is a whole number. One string per alternative. */
export function alternativesOf(schema: z.ZodType, named: Named): string[] {
  const json = jsonSchemaOf(schema, named)
  const options = json.oneOf ?? json.anyOf ?? [json]
  return options.map((option) => broken(option))
}

function jsonSchemaOf(schema: z.ZodType, named: Named): Schema {
  const ids = z.registry<{ id: string }>()
  // A name stands for its schema everywhere but in its own definition.
  for (const [id, other] of Object.entries(named)) if (other !== schema) ids.add(other, { id })
  return z.toJSONSchema(schema, { io: "input", metadata: ids })
}

/** On one line if it fits, else one line for each property. */
function broken(schema: Schema): string {
  const line = rendered(schema)
  if (line.length <= MAX_LINE_CHARS || schema.type !== "object") return line
  return `{\n${properties(schema)
    .map((property) => `  ${property}\n`)
    .join("")}}`
}

function rendered(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? schema.$ref
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ")
  const options = schema.oneOf ?? schema.anyOf
  if (options) return options.map(rendered).join(" | ")
  if (schema.allOf) return schema.allOf.map(rendered).join(" & ")
  if (schema.type === "array") return array(schema)
  if (schema.type === "object") return `{ ${properties(schema).join(", ")} }`
  const { type = "Json" } = schema
  return Array.isArray(type) ? type.join(" | ") : type
}

function array({ prefixItems, items }: Schema): string {
  if (prefixItems) return `[${prefixItems.map((item) => renderedItem(item)).join(", ")}]`
  const item = Array.isArray(items) ? undefined : items
  const text = renderedItem(item)
  return /[ |&]/.test(text) && !text.startsWith("{") ? `(${text})[]` : `${text}[]`
}

const renderedItem = (item: Schema | boolean | undefined) =>
  typeof item === "object" ? rendered(item) : "Json"

function properties(schema: Schema): string[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).map(
    ([name, value]) => `${name}${required.has(name) ? "" : "?"}: ${renderedItem(value)}`,
  )
}

import * as z from "zod"

/**
 * Text as every store and screen can hold it. NUL and lone surrogates, which PostgreSQL refuses, become one visible
 * character each, so offsets into the text stay true.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\u0000", "\u2400")
}

export const textSchema = z.string().transform(storableText)

/** Any JSON value with all of its text storable. */
export const jsonSchema = z.json().transform(storableJson)

type Json = z.infer<ReturnType<typeof z.json>>

function storableJson(value: Json): Json {
  if (typeof value === "string") return storableText(value)
  if (Array.isArray(value)) return value.map(storableJson)
  if (value === null || typeof value !== "object") return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [storableText(key), storableJson(inner)]),
  )
}

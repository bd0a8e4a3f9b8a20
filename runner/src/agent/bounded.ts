import * as z from "zod"
import { MAX_TOOL_OUTPUT_BYTES } from "#protocol/limits"
import { jsonSchema, storableText } from "#protocol/text"

/** Most UTF-16 units of one text or reasoning part; more than any model writes in one answer. */
export const MAX_TEXT_UNITS = 512 * 1024

/** Most characters of what a tool was given; the rest is cut, as it stands in the workspace anyway. */
const MAX_INPUT_CHARS = 128 * 1024

/** Levels of lists and objects in what a tool was given; whoever checks or encodes JSON goes down one call a level. */
const MAX_INPUT_DEPTH = 64

const TOO_DEEP = "… (nested too deeply)"

const MAX_TITLE_CHARS = 500

export type BoundedOutput = { output: string; truncated: boolean; bytes: number }

/** The head of a tool's output, cut between characters. `bytes` is the size of the whole. */
export function boundOutput(text: string): BoundedOutput {
  const bytes = Buffer.byteLength(text)
  if (bytes <= MAX_TOOL_OUTPUT_BYTES) return { output: storableText(text), truncated: false, bytes }
  // A unit takes at least one byte, so no more units than bytes can fit.
  const head = text.slice(0, MAX_TOOL_OUTPUT_BYTES)
  const { read } = new TextEncoder().encodeInto(head, new Uint8Array(MAX_TOOL_OUTPUT_BYTES))
  return { output: storableText(head.slice(0, read)), truncated: true, bytes }
}

export const boundTitle = (title: string) => storableText(cutUnits(title, MAX_TITLE_CHARS))

/** The first units of a text, not splitting a surrogate pair. */
export function cutUnits(text: string, units: number): string {
  if (text.length <= units) return text
  const end = isHighSurrogate(text.charCodeAt(units - 1)) ? units - 1 : units
  return text.slice(0, end)
}

export const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff

type Json = z.infer<typeof jsonSchema>

/**
 * Any value as storable JSON of bounded size and depth: long texts lose their tails, long lists and objects their ends,
 * and what is nested too deeply is replaced by a short text.
 */
export function boundJson(value: unknown): Json {
  const budget = { chars: MAX_INPUT_CHARS }
  return jsonSchema.parse(bound(value, budget, MAX_INPUT_DEPTH) ?? null)
}

function bound(value: unknown, budget: { chars: number }, depth: number): unknown {
  if (typeof value === "string") return boundString(value, budget)
  if (value === null || typeof value !== "object") return jsonScalar(value)
  if (depth === 0) return TOO_DEEP
  const items: [string, unknown][] = []
  for (const [key, inner] of Object.entries(value)) {
    if (budget.chars <= 0) break
    budget.chars -= key.length + 4
    items.push([key, bound(inner, budget, depth - 1)])
  }
  return Array.isArray(value) ? items.map(([, inner]) => inner ?? null) : Object.fromEntries(items)
}

function boundString(text: string, budget: { chars: number }): string {
  const kept = cutUnits(text, Math.max(0, budget.chars))
  budget.chars -= kept.length
  return kept.length < text.length
    ? `${kept}… (${text.length - kept.length} more characters)`
    : kept
}

const jsonScalar = (value: unknown) =>
  z.union([z.number(), z.boolean()]).safeParse(value).data ?? null

import { joinBytes } from "../adapter/bytes.ts"
import { memberValue, type Span, topLevelMembers } from "./top-level-json.ts"
import type { Wire } from "./upstream.ts"

/** What becomes part of a usage record, so it must be a plain name. */
const MODEL_NAME = /^[\w.:@/+-]{1,200}$/

export type ModelCall = { model: string; body: Uint8Array }

/**
 * Reads a model call as far as the broker needs it. The body goes on byte for byte, except that a streamed chat
 * completion is asked to say what it cost. Null when it is no JSON object with a model's name.
 */
export function readModelCall(json: Uint8Array, wire: Wire): ModelCall | null {
  const members = topLevelMembers(json)
  if (!members) return null
  const model = memberValue(json, members.get("model"))
  if (typeof model !== "string" || !MODEL_NAME.test(model)) return null
  const streamed = memberValue(json, members.get("stream")) === true
  const body = wire === "chat-completions" && streamed ? withUsage(json, members) : json
  return { model, body }
}

function withUsage(json: Uint8Array, members: Map<string, Span>): Uint8Array {
  const span = members.get("stream_options")
  const options = memberValue(json, span)
  if (span && isObject(options)) {
    if (options.include_usage === true) return json
    return spliced(json, span, JSON.stringify({ ...options, include_usage: true }))
  }
  if (span) return spliced(json, span, '{"include_usage":true}')
  const opened = json.indexOf(0x7b) + 1
  const member = '"stream_options":{"include_usage":true},'
  return spliced(json, { start: opened, end: opened }, member)
}

function spliced(json: Uint8Array, { start, end }: Span, text: string): Uint8Array {
  const middle = new TextEncoder().encode(text)
  return joinBytes([json.subarray(0, start), middle, json.subarray(end)])
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

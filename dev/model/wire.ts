import * as z from "zod"
import { type Conversation, RequestRefused, type ToolCall } from "./conversation.ts"

/** What an answer says about itself before its first word. */
export type ReplyHead = {
  /** Letters, digits and dashes; unique for this answer. */
  id: string
  model: string
  createdAtSeconds: number
  inputTokens: number
}

export type ReplyPart =
  | { type: "reasoning"; text: string }
  | { type: "text"; text: string }
  | { type: "call"; call: ToolCall }

/** Turns the pieces of one answer into server-sent events, in the order they are given. */
export type FrameEncoder = {
  reasoning: (text: string) => string
  text: (text: string) => string
  call: (call: ToolCall) => string
  finish: (outputTokens: number) => string
  /** An error after the stream has begun. */
  fail: (status: number, message: string) => string
}

/** One of the three HTTP forms a model is spoken to in. */
export type WireForm = {
  /** Without the `/v1` that may stand before it. */
  path: string
  decode: (body: unknown) => Conversation
  stream: (head: ReplyHead, conversation: Conversation) => FrameEncoder
  whole: (head: ReplyHead, parts: ReplyPart[], outputTokens: number) => unknown
  error: (status: number, message: string) => unknown
}

const argumentChunkLength = 1024

/** A call's arguments as JSON, in the pieces in which they are streamed. */
export function argumentChunks(input: unknown): string[] {
  const json = JSON.stringify(input)
  const chunks: string[] = []
  for (let start = 0; start < json.length; start += argumentChunkLength) {
    chunks.push(json.slice(start, start + argumentChunkLength))
  }
  return chunks
}

/** Arguments as the caller sends them back: JSON text, kept as it is when it does not parse. */
export function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function decodeWith<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new RequestRefused(400, `The request is not understood: ${z.prettifyError(parsed.error)}`)
}

/** Text as all three forms write it: a string, or parts of which some hold text. */
export const textContent = z
  .union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))])
  .nullish()
  .transform((content) =>
    typeof content === "string"
      ? content
      : (content ?? [])
          .map(({ text }) => text)
          .filter((text) => text !== undefined)
          .join("\n"),
  )

import * as z from "zod"
import type { Conversation, ToolCall, Turn } from "./conversation.ts"
import {
  argumentChunks,
  decodeWith,
  type FrameEncoder,
  type ReplyHead,
  type ReplyPart,
  textContent,
  type WireForm,
} from "./wire.ts"

const block = z.union([
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({
    type: z.literal("tool_use"),
    id: z.string(),
    name: z.string(),
    input: z.unknown(),
  }),
  z.object({ type: z.literal("tool_result"), tool_use_id: z.string(), content: textContent }),
  z.object({ type: z.string() }),
])

const message = z.object({
  role: z.enum(["user", "assistant"]),
  content: z.union([
    z.string().transform((text): Block[] => [{ type: "text", text }]),
    z.array(block),
  ]),
})

const request = z.object({
  model: z.string(),
  stream: z.boolean().nullish(),
  system: textContent,
  messages: z.array(message).min(1),
  tools: z.array(z.object({ name: z.string() })).nullish(),
})

type Block = z.infer<typeof block>
type Message = z.infer<typeof message>

/** Anthropic messages. */
export const messages: WireForm = {
  path: "/messages",

  decode(body): Conversation {
    const decoded = decodeWith(request, body)
    return {
      model: decoded.model,
      stream: decoded.stream ?? false,
      streamUsage: true,
      system: decoded.system,
      toolNames: (decoded.tools ?? []).map(({ name }) => name),
      turns: toTurns(decoded.messages),
    }
  },

  stream: createEncoder,

  whole: (head, parts, outputTokens) => ({
    ...opening(head),
    content: parts.map(wholeBlock),
    stop_reason: stopReason(parts.some((part) => part.type === "call")),
    usage: { input_tokens: head.inputTokens, output_tokens: outputTokens },
  }),

  error: (status, text) => ({ type: "error", error: { type: errorType(status), message: text } }),
}

/** One assistant turn is a run of assistant messages, as the API itself joins them. */
function toTurns(history: Message[]): Turn[] {
  const turns: Turn[] = []
  for (const { role, content } of history) {
    if (role === "user") {
      turns.push(...userTurns(content))
      continue
    }
    const last = turns.at(-1)
    const calls = content.flatMap(toCall)
    if (last?.role === "assistant") last.calls.push(...calls)
    else turns.push({ role: "assistant", calls })
  }
  return turns
}

/** A user message holds tool results, a prompt, or both; results come first. */
function userTurns(content: Block[]): Turn[] {
  const results = content.flatMap((entry): Turn[] =>
    "tool_use_id" in entry
      ? [{ role: "tool", callId: entry.tool_use_id, output: entry.content }]
      : [],
  )
  const texts = content.flatMap((entry) => ("text" in entry ? entry.text : []))
  const isPrompt = texts.length > 0 || results.length === 0
  return isPrompt ? [...results, { role: "user", text: texts.join("\n") }] : results
}

function toCall(entry: Block): ToolCall[] {
  return "name" in entry ? [{ id: entry.id, name: entry.name, input: entry.input }] : []
}

function createEncoder(head: ReplyHead): FrameEncoder {
  let opened = false
  let called = false
  let index = -1
  let open: "reasoning" | "text" | undefined

  const event = (type: string, fields: object = {}) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`
  const delta = (fields: object) => event("content_block_delta", { index, delta: fields })

  const begin = () => {
    if (opened) return ""
    opened = true
    return event("message_start", { message: opening(head) })
  }
  const closeBlock = () => {
    if (!open) return ""
    const signed =
      open === "reasoning" ? delta({ type: "signature_delta", signature: `sig_${head.id}` }) : ""
    open = undefined
    return signed + event("content_block_stop", { index })
  }
  const openBlock = (type: "reasoning" | "text") => {
    if (open === type) return ""
    const closed = closeBlock()
    open = type
    index += 1
    return closed + event("content_block_start", { index, content_block: emptyBlock(type) })
  }

  return {
    reasoning: (text) =>
      begin() + openBlock("reasoning") + delta({ type: "thinking_delta", thinking: text }),
    text: (text) => begin() + openBlock("text") + delta({ type: "text_delta", text }),
    call({ id, name, input }) {
      const before = begin() + closeBlock()
      called = true
      index += 1
      return [
        before,
        event("content_block_start", {
          index,
          content_block: { type: "tool_use", id, name, input: {} },
        }),
        ...argumentChunks(input).map((json) =>
          delta({ type: "input_json_delta", partial_json: json }),
        ),
        event("content_block_stop", { index }),
      ].join("")
    },
    finish: (outputTokens) =>
      begin() +
      closeBlock() +
      event("message_delta", {
        delta: { stop_reason: stopReason(called), stop_sequence: null },
        usage: { output_tokens: outputTokens },
      }) +
      event("message_stop"),
    fail: (status, text) => event("error", { error: { type: errorType(status), message: text } }),
  }
}

function emptyBlock(type: "reasoning" | "text") {
  return type === "text"
    ? { type: "text", text: "" }
    : { type: "thinking", thinking: "", signature: "" }
}

function wholeBlock(part: ReplyPart) {
  switch (part.type) {
    case "reasoning":
      return { type: "thinking", thinking: part.text, signature: "scripted" }
    case "text":
      return { type: "text", text: part.text }
    case "call":
      return { type: "tool_use", id: part.call.id, name: part.call.name, input: part.call.input }
  }
}

function opening({ id, model, inputTokens }: ReplyHead) {
  return {
    id: `msg_${id}`,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: inputTokens, output_tokens: 0 },
  }
}

function stopReason(called: boolean): "tool_use" | "end_turn" {
  return called ? "tool_use" : "end_turn"
}

const errorTypes = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [529, "overloaded_error"],
])

function errorType(status: number): string {
  return errorTypes.get(status) ?? (status < 500 ? "invalid_request_error" : "api_error")
}

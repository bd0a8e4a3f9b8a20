import * as z from "zod"
import type { Conversation, ToolCall, Turn } from "./conversation.ts"
import {
  argumentChunks,
  decodeWith,
  type FrameEncoder,
  parseArguments,
  type ReplyHead,
  type ReplyPart,
  textContent,
  type WireForm,
} from "./wire.ts"

const toolCall = z.object({
  id: z.string(),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content: textContent }),
  z.object({ role: z.literal("user"), content: textContent }),
  z.object({ role: z.literal("assistant"), tool_calls: z.array(toolCall).nullish() }),
  z.object({ role: z.literal("tool"), tool_call_id: z.string(), content: textContent }),
])

const request = z.object({
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  messages: z.array(message).min(1),
  tools: z.array(z.object({ function: z.object({ name: z.string() }).optional() })).nullish(),
})

type Message = z.infer<typeof message>

/** OpenAI chat completions. */
export const chatCompletions: WireForm = {
  path: "/chat/completions",

  decode(body): Conversation {
    const { model, stream, stream_options, messages, tools } = decodeWith(request, body)
    return {
      model,
      stream: stream ?? false,
      streamUsage: stream_options?.include_usage ?? false,
      system: messages.flatMap(systemText).join("\n"),
      toolNames: (tools ?? []).flatMap((tool) => tool.function?.name ?? []),
      turns: messages.flatMap(toTurn),
    }
  },

  stream: (head, { streamUsage }) => createEncoder(head, streamUsage),

  whole(head, parts, outputTokens) {
    const calls = parts.flatMap((part) => (part.type === "call" ? part.call : []))
    return {
      ...identity(head, "chat.completion"),
      choices: [
        {
          index: 0,
          message: wholeMessage(parts, calls),
          finish_reason: finishReason(calls.length),
        },
      ],
      usage: usage(head, outputTokens),
    }
  },

  error: (status, text) => ({
    error: { message: text, type: errorType(status), param: null, code: null },
  }),
}

function systemText(entry: Message): string[] {
  return entry.role === "system" || entry.role === "developer" ? [entry.content] : []
}

function toTurn(entry: Message): Turn[] {
  switch (entry.role) {
    case "user":
      return [{ role: "user", text: entry.content }]
    case "tool":
      return [{ role: "tool", callId: entry.tool_call_id, output: entry.content }]
    case "assistant":
      return [{ role: "assistant", calls: (entry.tool_calls ?? []).map(toCall) }]
    default:
      return []
  }
}

function toCall({ id, function: called }: z.infer<typeof toolCall>): ToolCall {
  return { id, name: called.name, input: parseArguments(called.arguments) }
}

function createEncoder(head: ReplyHead, streamUsage: boolean): FrameEncoder {
  const base = identity(head, "chat.completion.chunk")
  let opened = false
  let callCount = 0

  const chunk = (delta: object, reason: string | null = null) =>
    frame({ ...base, choices: [{ index: 0, delta, finish_reason: reason }] })
  const open = () => {
    if (opened) return ""
    opened = true
    return chunk({ role: "assistant", content: "" })
  }

  return {
    reasoning: (text) => open() + chunk({ reasoning_content: text }),
    text: (text) => open() + chunk({ content: text }),
    call({ id, name, input }) {
      const index = callCount++
      const start = { index, id, type: "function", function: { name, arguments: "" } }
      const rest = argumentChunks(input).map((piece) =>
        chunk({ tool_calls: [{ index, function: { arguments: piece } }] }),
      )
      return open() + chunk({ tool_calls: [start] }) + rest.join("")
    },
    finish(outputTokens) {
      const last = streamUsage
        ? frame({ ...base, choices: [], usage: usage(head, outputTokens) })
        : ""
      return `${open()}${chunk({}, finishReason(callCount))}${last}data: [DONE]\n\n`
    },
    fail: (status, text) => frame(chatCompletions.error(status, text)),
  }
}

function wholeMessage(parts: ReplyPart[], calls: ToolCall[]) {
  const joined = (type: "text" | "reasoning") =>
    parts.map((part) => (part.type === type ? part.text : "")).join("")
  return {
    role: "assistant",
    content: joined("text") || null,
    ...(joined("reasoning") && { reasoning_content: joined("reasoning") }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, input }) => ({
        id,
        type: "function",
        function: { name, arguments: JSON.stringify(input) },
      })),
    }),
  }
}

function identity({ id, createdAtSeconds, model }: ReplyHead, object: string) {
  return { id: `chatcmpl-${id}`, object, created: createdAtSeconds, model }
}

function usage({ inputTokens }: ReplyHead, outputTokens: number) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  }
}

function finishReason(callCount: number): "tool_calls" | "stop" {
  return callCount > 0 ? "tool_calls" : "stop"
}

export function errorType(status: number): string {
  return status < 500 ? "invalid_request_error" : "server_error"
}

function frame(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

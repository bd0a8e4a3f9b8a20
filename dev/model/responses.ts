import * as z from "zod"
import { errorType } from "./chat-completions.ts"
import { type Conversation, RequestRefused, type Turn } from "./conversation.ts"
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

const item = z.union([
  z.object({ role: z.enum(["system", "developer", "user", "assistant"]), content: textContent }),
  z.object({
    type: z.literal("function_call"),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal("function_call_output"),
    call_id: z.string(),
    output: textContent,
  }),
  // Reasoning, references and built-in tools: all of them the model's own.
  z.object({ type: z.string() }),
])

const request = z.object({
  model: z.string(),
  stream: z.boolean().nullish(),
  instructions: z.string().nullish(),
  previous_response_id: z.string().nullish(),
  input: z.union([z.string(), z.array(item).min(1)]),
  tools: z.array(z.object({ name: z.string().optional() })).nullish(),
})

type Item = z.infer<typeof item>

/** OpenAI responses. */
export const responses: WireForm = {
  path: "/responses",

  decode(body): Conversation {
    const decoded = decodeWith(request, body)
    if (decoded.previous_response_id) {
      throw new RequestRefused(
        400,
        "previous_response_id: the scripted model remembers nothing; send the whole conversation as input",
      )
    }
    const items: Item[] =
      typeof decoded.input === "string" ? [{ role: "user", content: decoded.input }] : decoded.input
    return {
      model: decoded.model,
      stream: decoded.stream ?? false,
      streamUsage: true,
      system: [decoded.instructions ?? "", ...items.flatMap(systemText)].join("\n"),
      toolNames: (decoded.tools ?? []).flatMap(({ name }) => name ?? []),
      turns: toTurns(items),
    }
  },

  stream: createEncoder,

  whole: (head, parts, outputTokens) =>
    response(head, "completed", parts.map(wholeItem(head)), outputTokens),

  error: (status, message) => ({
    error: { message, type: errorType(status), param: null, code: null },
  }),
}

function systemText(entry: Item): string[] {
  const isSystem = "role" in entry && (entry.role === "system" || entry.role === "developer")
  return isSystem ? [entry.content] : []
}

/** One assistant turn is a run of the model's own items, ended by a tool's output or a prompt. */
function toTurns(items: Item[]): Turn[] {
  const turns: Turn[] = []
  for (const entry of items) {
    if ("role" in entry && entry.role !== "assistant") {
      if (entry.role === "user") turns.push({ role: "user", text: entry.content })
    } else if ("output" in entry) {
      turns.push({ role: "tool", callId: entry.call_id, output: entry.output })
    } else {
      const last = turns.at(-1)
      const calls = last?.role === "assistant" ? last.calls : []
      if (last?.role !== "assistant") turns.push({ role: "assistant", calls })
      if ("arguments" in entry) {
        const { call_id, name, arguments: text } = entry
        calls.push({ id: call_id, name, input: parseArguments(text) })
      }
    }
  }
  return turns
}

type OpenItem = { type: "reasoning" | "text"; index: number; text: string }

function createEncoder(head: ReplyHead): FrameEncoder {
  const output: object[] = []
  let sequence = 0
  let open: OpenItem | undefined

  const event = (type: string, fields: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`

  const begin = () =>
    sequence > 0
      ? ""
      : event("response.created", { response: response(head, "in_progress", [], undefined) }) +
        event("response.in_progress", { response: response(head, "in_progress", [], undefined) })

  const closeItem = () => {
    if (!open) return ""
    const { type, index, text } = open
    open = undefined
    const at = position(head, type, index)
    const done = wholeItem(head)({ type, text }, index)
    output.push(done)
    const ended =
      type === "text"
        ? event("response.output_text.done", { ...at, text, logprobs: [] }) +
          event("response.content_part.done", { ...at, part: textPart(text) })
        : event("response.reasoning_summary_text.done", { ...at, text }) +
          event("response.reasoning_summary_part.done", { ...at, part: summaryPart(text) })
    return ended + event("response.output_item.done", { output_index: index, item: done })
  }

  const openItem = (type: OpenItem["type"]) => {
    const index = output.length
    open = { type, index, text: "" }
    const at = position(head, type, index)
    const item = { ...wholeItem(head)({ type, text: "" }, index), ...emptyItem(type) }
    const added = event("response.output_item.added", { output_index: index, item })
    return type === "text"
      ? added + event("response.content_part.added", { ...at, part: textPart("") })
      : added + event("response.reasoning_summary_part.added", { ...at, part: summaryPart("") })
  }

  const grow = (type: OpenItem["type"], delta: string) => {
    let frames = begin()
    if (open?.type !== type) frames += closeItem() + openItem(type)
    if (!open) return frames
    open.text += delta
    const at = position(head, type, open.index)
    const name =
      type === "text" ? "response.output_text.delta" : "response.reasoning_summary_text.delta"
    return frames + event(name, { ...at, delta })
  }

  return {
    reasoning: (text) => grow("reasoning", text),
    text: (text) => grow("text", text),
    call(call) {
      const before = begin() + closeItem()
      const index = output.length
      const item = wholeItem(head)({ type: "call", call }, index)
      output.push(item)
      const at = { item_id: itemId(head, "call", index), output_index: index }
      return [
        before,
        event("response.output_item.added", {
          output_index: index,
          item: { ...item, status: "in_progress", arguments: "" },
        }),
        ...argumentChunks(call.input).map((delta) =>
          event("response.function_call_arguments.delta", { ...at, delta }),
        ),
        event("response.function_call_arguments.done", {
          ...at,
          arguments: JSON.stringify(call.input),
        }),
        event("response.output_item.done", { output_index: index, item }),
      ].join("")
    },
    finish: (outputTokens) =>
      begin() +
      closeItem() +
      event("response.completed", { response: response(head, "completed", output, outputTokens) }),
    fail: (status, message) =>
      event("error", {
        error: { type: errorType(status), code: String(status), message, param: null },
      }),
  }
}

function itemId({ id }: ReplyHead, type: ReplyPart["type"], index: number): string {
  const prefix = { reasoning: "rs", text: "msg", call: "fc" }[type]
  return `${prefix}_${id}_${index}`
}

function position(head: ReplyHead, type: OpenItem["type"], index: number) {
  const part = type === "text" ? { content_index: 0 } : { summary_index: 0 }
  return { item_id: itemId(head, type, index), output_index: index, ...part }
}

function emptyItem(type: OpenItem["type"]) {
  return type === "text" ? { status: "in_progress", content: [] } : { summary: [] }
}

function wholeItem(head: ReplyHead) {
  return (part: ReplyPart, index: number) => {
    const id = itemId(head, part.type, index)
    switch (part.type) {
      case "reasoning":
        return {
          type: "reasoning",
          id,
          summary: [summaryPart(part.text)],
          // Callers that store nothing send reasoning back only when it has this.
          encrypted_content: "scripted",
        }
      case "text":
        return {
          type: "message",
          id,
          role: "assistant",
          status: "completed",
          content: [textPart(part.text)],
        }
      case "call":
        return {
          type: "function_call",
          id,
          call_id: part.call.id,
          name: part.call.name,
          arguments: JSON.stringify(part.call.input),
          status: "completed",
        }
    }
  }
}

function textPart(text: string) {
  return { type: "output_text", text, annotations: [], logprobs: [] }
}

function summaryPart(text: string) {
  return { type: "summary_text", text }
}

function response(
  { id, createdAtSeconds, model, inputTokens }: ReplyHead,
  status: "in_progress" | "completed",
  output: object[],
  outputTokens: number | undefined,
) {
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: createdAtSeconds,
    status,
    error: null,
    incomplete_details: null,
    model,
    output,
    parallel_tool_calls: true,
    usage:
      outputTokens === undefined
        ? null
        : {
            input_tokens: inputTokens,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens: outputTokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: inputTokens + outputTokens,
          },
  }
}

import { z } from "#protocol/zod"
import type { Wire } from "./upstream.ts"

export type TokenCount = { inputTokens: number; outputTokens: number; cachedInputTokens: number }

const count = z.int().nonnegative().catch(0)

const chatSchema = z.object({
  usage: z.object({
    prompt_tokens: count,
    completion_tokens: count,
    prompt_tokens_details: z.object({ cached_tokens: count }).optional().catch(undefined),
  }),
})
const responsesUsageSchema = z.object({
  input_tokens: count,
  output_tokens: count,
  input_tokens_details: z.object({ cached_tokens: count }).optional().catch(undefined),
})
const responsesSchema = z.union([
  z.object({ response: z.object({ usage: responsesUsageSchema }) }).transform((e) => e.response),
  z.object({ usage: responsesUsageSchema }),
])
const messagesUsageSchema = z.object({
  input_tokens: count.optional(),
  output_tokens: count.optional(),
  cache_read_input_tokens: count.optional(),
  cache_creation_input_tokens: count.optional(),
})
const messagesSchema = z.union([
  z.object({ message: z.object({ usage: messagesUsageSchema }) }).transform((e) => e.message),
  z.object({ usage: messagesUsageSchema }),
])

/** Reads one JSON event of a stream, or a whole answer, into the count so far. */
export function addUsage(wire: Wire, event: unknown, before: TokenCount): TokenCount {
  switch (wire) {
    case "chat-completions": {
      const usage = chatSchema.safeParse(event).data?.usage
      if (!usage) return before
      const cachedInputTokens = usage.prompt_tokens_details?.cached_tokens ?? 0
      return {
        inputTokens: usage.prompt_tokens,
        outputTokens: usage.completion_tokens,
        cachedInputTokens,
      }
    }
    case "responses": {
      const usage = responsesSchema.safeParse(event).data?.usage
      if (!usage) return before
      const cachedInputTokens = usage.input_tokens_details?.cached_tokens ?? 0
      return {
        inputTokens: usage.input_tokens,
        outputTokens: usage.output_tokens,
        cachedInputTokens,
      }
    }
    case "messages": {
      const usage = messagesSchema.safeParse(event).data?.usage
      if (!usage) return before
      const cached = usage.cache_read_input_tokens ?? before.cachedInputTokens
      const written = usage.cache_creation_input_tokens ?? 0
      // Anthropic counts cached input apart, and repeats only what changed in later events.
      const input =
        usage.input_tokens === undefined ? undefined : usage.input_tokens + cached + written
      return {
        inputTokens: input ?? before.inputTokens,
        outputTokens: usage.output_tokens ?? before.outputTokens,
        cachedInputTokens: cached,
      }
    }
    default:
      return wire satisfies never
  }
}

/** Lines longer than this cannot be usage events, so they are passed on unread. */
const MAX_LINE_CHARS = 64 * 1024

/** Follows a server-sent-event stream by its bytes and keeps the usage it reports. */
export class UsageMeter {
  readonly #wire: Wire
  readonly #decoder = new TextDecoder()
  #line = ""
  #skipping = false
  total: TokenCount = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }

  constructor(wire: Wire) {
    this.#wire = wire
  }

  read(chunk: Uint8Array): void {
    const lines = this.#decoder.decode(chunk, { stream: true }).split("\n")
    const last = lines.pop() ?? ""
    for (const line of lines) this.#finish(line)
    this.#append(last)
  }

  end(): void {
    this.#finish("")
  }

  #append(piece: string): void {
    if (this.#skipping) return
    this.#line += piece
    if (this.#line.length > MAX_LINE_CHARS) {
      this.#line = ""
      this.#skipping = true
    }
  }

  #finish(piece: string): void {
    this.#append(piece)
    const line = this.#line
    this.#line = ""
    this.#skipping = false
    // Only events that speak of usage are worth parsing: text deltas are by far the most.
    if (line.startsWith("data:") && line.includes('"usage"')) this.readJson(line.slice(5))
  }

  readJson(text: string): void {
    try {
      this.total = addUsage(this.#wire, JSON.parse(text), this.total)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
  }
}

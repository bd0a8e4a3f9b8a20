import * as z from "zod"
import { MAX_CALL_TOKENS } from "#protocol/limits"
import type { Wire } from "./upstream.ts"

/** Tokens of one call. `inputTokens` holds the cached ones. */
export type TokenCount = { inputTokens: number; outputTokens: number; cachedInputTokens: number }

/** As the vendors count, who differ in whether input includes what was read from or written to a cache. */
type Tally = { input: number; output: number; cacheRead: number; cacheWritten: number }

const NOTHING: Tally = { input: 0, output: 0, cacheRead: 0, cacheWritten: 0 }

const count = z.int().nonnegative().catch(0)

const chatSchema = z.object({
  usage: z
    .object({
      prompt_tokens: count,
      completion_tokens: count,
      prompt_tokens_details: z.object({ cached_tokens: count }).nullish().catch(null),
    })
    .transform(
      (usage): Tally => ({
        input: usage.prompt_tokens,
        output: usage.completion_tokens,
        cacheRead: usage.prompt_tokens_details?.cached_tokens ?? 0,
        cacheWritten: 0,
      }),
    ),
})

const responsesSchema = z.object({
  usage: z
    .object({
      input_tokens: count,
      output_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count }).nullish().catch(null),
    })
    .transform(
      (usage): Tally => ({
        input: usage.input_tokens,
        output: usage.output_tokens,
        cacheRead: usage.input_tokens_details?.cached_tokens ?? 0,
        cacheWritten: 0,
      }),
    ),
})

const messagesSchema = z.object({
  usage: z
    .object({
      input_tokens: count,
      output_tokens: count,
      cache_read_input_tokens: count,
      cache_creation_input_tokens: count,
    })
    .transform(
      (usage): Tally => ({
        input: usage.input_tokens,
        output: usage.output_tokens,
        cacheRead: usage.cache_read_input_tokens,
        cacheWritten: usage.cache_creation_input_tokens,
      }),
    ),
})

/** The usage that one event of a stream, or a whole answer, reports; undefined when it reports none. */
const READ_TALLY: Record<Wire, (event: unknown) => Tally | undefined> = {
  "chat-completions": (event) => chatSchema.safeParse(event).data?.usage,
  responses: (event) => {
    const inner = responseEventSchema.safeParse(event).data?.response
    return responsesSchema.safeParse(inner ?? event).data?.usage
  },
  messages: (event) => {
    const inner = messageEventSchema.safeParse(event).data?.message
    return messagesSchema.safeParse(inner ?? event).data?.usage
  },
}

const responseEventSchema = z.object({ response: z.unknown() })
const messageEventSchema = z.object({ message: z.unknown() })

/** The last event of a response repeats all of its instructions, tools and output, so lines are long. */
const MAX_LINE_CHARS = 8 * 1024 * 1024

/** Follows a model's answer by its bytes and keeps the usage it reports. */
export class UsageMeter {
  readonly #wire: Wire
  readonly #streamed: boolean
  readonly #decoder = new TextDecoder()
  #line = ""
  #skipping = false
  #tally = NOTHING

  /** `streamed` answers are server-sent events, others one JSON document. */
  constructor(wire: Wire, streamed: boolean) {
    this.#wire = wire
    this.#streamed = streamed
  }

  read(chunk: Uint8Array): void {
    const text = this.#decoder.decode(chunk, { stream: true })
    if (!this.#streamed) {
      this.#append(text)
      return
    }
    const lines = text.split("\n")
    const last = lines.pop() ?? ""
    for (const line of lines) this.#finish(line)
    this.#append(last)
  }

  /** What was counted, when nothing more comes. */
  end(): TokenCount {
    this.#finish("")
    const { input, output, cacheRead, cacheWritten } = this.#tally
    const apart = this.#wire === "messages" ? cacheRead + cacheWritten : 0
    return {
      inputTokens: Math.min(input + apart, MAX_CALL_TOKENS),
      outputTokens: Math.min(output, MAX_CALL_TOKENS),
      cachedInputTokens: Math.min(cacheRead, MAX_CALL_TOKENS),
    }
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
    if (!this.#streamed) this.#add(line)
    // Only events that speak of usage are worth parsing: text deltas are by far the most.
    else if (line.startsWith("data:") && line.includes('"usage"')) this.#add(line.slice(5))
  }

  /** Events repeat the counts so far and leave out what did not change, so the largest of each is the newest. */
  #add(json: string): void {
    const reported = READ_TALLY[this.#wire](parsed(json))
    if (!reported) return
    const { input, output, cacheRead, cacheWritten } = this.#tally
    this.#tally = {
      input: Math.max(input, reported.input),
      output: Math.max(output, reported.output),
      cacheRead: Math.max(cacheRead, reported.cacheRead),
      cacheWritten: Math.max(cacheWritten, reported.cacheWritten),
    }
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

import * as z from "zod"

/** What this code reads of OpenCode 1.18's events and messages. Whatever else they hold is kept, not checked. */
const common = { id: z.string(), sessionID: z.string(), messageID: z.string() }
const span = z.looseObject({ start: z.number().optional(), end: z.number().optional() })
const facts = z.record(z.string(), z.unknown())

const textPartSchema = z.looseObject({
  ...common,
  type: z.enum(["text", "reasoning"]),
  text: z.string(),
  time: span.optional(),
})

const toolPartSchema = z.looseObject({
  ...common,
  type: z.literal("tool"),
  tool: z.string(),
  state: z.looseObject({
    status: z.enum(["pending", "running", "completed", "error"]),
    input: facts.default({}),
    output: z.string().optional(),
    error: z.string().optional(),
    title: z.string().optional(),
    metadata: facts.default({}),
    time: span.optional(),
  }),
})

const filePartSchema = z.looseObject({
  ...common,
  type: z.literal("file"),
  mime: z.string(),
  filename: z.string().optional(),
})

const otherPartSchema = z.looseObject({ ...common, type: z.string() })

/** A known part that does not look as expected counts as one of an unknown type. */
const partSchema = z.union([
  textPartSchema.transform((part) => ({ known: "text" as const, part })),
  toolPartSchema.transform((part) => ({ known: "tool" as const, part })),
  filePartSchema.transform((part) => ({ known: "file" as const, part })),
  otherPartSchema.transform((part) => ({ known: null, part })),
])
export type Part = z.infer<typeof partSchema>
export type PartOf<Known extends Part["known"]> = Extract<Part, { known: Known }>["part"]

const errorSchema = z.looseObject({
  name: z.string(),
  data: z
    .looseObject({
      message: z.string().optional(),
      statusCode: z.number().optional(),
      isRetryable: z.boolean().optional(),
      responseBody: z.string().optional(),
    })
    .default({}),
})
export type AgentError = z.infer<typeof errorSchema>

const messageInfoSchema = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  role: z.enum(["user", "assistant"]),
  parentID: z.string().optional(),
  /** Why the model stopped; `unknown` when its stream ended without saying. */
  finish: z.string().optional(),
  error: errorSchema.optional(),
  /** On an assistant's message: it condenses the conversation and is no answer. */
  summary: z.unknown().optional(),
  time: z.looseObject({ completed: z.number().optional() }),
})
export type MessageInfo = z.infer<typeof messageInfoSchema>

export const messagesSchema = z.array(
  z.object({ info: messageInfoSchema, parts: z.array(partSchema) }),
)
export type AgentMessage = z.infer<typeof messagesSchema>[number]

export const statusSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("idle") }),
  z.looseObject({ type: z.literal("busy") }),
  z.looseObject({
    type: z.literal("retry"),
    attempt: z.number(),
    message: z.string(),
    /** Clock time of the next try, milliseconds. */
    next: z.number(),
  }),
])
export type AgentStatus = z.infer<typeof statusSchema>

const session = { sessionID: z.string() }

const event = <Type extends string, Properties extends z.ZodType>(
  type: Type,
  properties: Properties,
) => z.object({ type: z.literal(type), properties })

const eventSchema = z.discriminatedUnion("type", [
  event(
    "session.created",
    z.looseObject({ info: z.looseObject({ id: z.string(), parentID: z.string().optional() }) }),
  ),
  event("session.status", z.object({ ...session, status: statusSchema })),
  event("session.idle", z.object(session)),
  event(
    "session.error",
    z.object({ sessionID: z.string().optional(), error: errorSchema.optional() }),
  ),
  event("message.updated", z.object({ ...session, info: messageInfoSchema })),
  event("message.part.updated", z.object({ ...session, part: partSchema })),
  event(
    "message.part.delta",
    z.object({
      ...session,
      messageID: z.string(),
      partID: z.string(),
      field: z.string(),
      delta: z.string(),
    }),
  ),
  event(
    "permission.asked",
    z.looseObject({
      ...session,
      id: z.string(),
      permission: z.string(),
      patterns: z.array(z.string()),
    }),
  ),
  event("question.asked", z.looseObject({ ...session, id: z.string() })),
])
export type AgentEvent = z.infer<typeof eventSchema>

const known: ReadonlySet<string> = new Set(
  eventSchema.options.map((option) => option.shape.type.value),
)

export type Decoded =
  | { kind: "event"; event: AgentEvent }
  /** Events that tell a session's timeline nothing. */
  | { kind: "noise" }
  | { kind: "unreadable"; reason: string }

const envelopeSchema = z.looseObject({ payload: z.looseObject({ type: z.string() }) })

/** Reads one item of OpenCode's global event stream, already parsed from JSON. */
export function decodeEvent(item: unknown): Decoded {
  const envelope = envelopeSchema.safeParse(item)
  if (!envelope.success) return { kind: "unreadable", reason: z.prettifyError(envelope.error) }
  const { payload } = envelope.data
  if (!known.has(payload.type)) return { kind: "noise" }
  const decoded = eventSchema.safeParse(payload)
  if (decoded.success) return { kind: "event", event: decoded.data }
  return { kind: "unreadable", reason: `${payload.type}: ${z.prettifyError(decoded.error)}` }
}

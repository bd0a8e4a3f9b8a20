import "./eval-free.ts"
import * as z from "zod"
import { failureSchema } from "./entry.ts"
import { jsonSchema, textSchema } from "./text.ts"
import { attemptRefSchema, claimSchema, outboxItemSchema } from "./work.ts"

/** Text that grew: the entry's key, where the piece starts (UTF-16 units), the piece. Never splits a surrogate pair. */
export const deltaSchema = z.tuple([z.string(), z.int().nonnegative(), textSchema])
export type Delta = z.infer<typeof deltaSchema>

/** What the agent's machine can be asked while it is up. Answers are checked by the asking side. */
export const askSchema = z.discriminatedUnion("name", [
  z.object({ name: z.literal("diff") }),
  z.object({ name: z.literal("file"), path: textSchema }),
])
export type Ask = z.infer<typeof askSchema>

export const fromRunnerSchema = z.discriminatedUnion("type", [
  /** First message of each connection. `streamId` names the outbox; a new one starts numbering at 1 again. */
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    generation: z.int().positive(),
    streamId: z.string().min(8).max(64),
    /** The attempt in the runner's journal that has not ended yet, if any. */
    attempt: attemptRefSchema.nullable(),
  }),
  /** Items `from`, `from + 1`, … of the outbox. Sent again after each hello until acknowledged. */
  z.object({
    type: z.literal("items"),
    from: z.int().positive(),
    items: z.array(outboxItemSchema).min(1),
  }),
  /** Streamed text; lost ones are healed by the next checkpoint of the entry. */
  z.object({ type: z.literal("deltas"), deltas: z.array(deltaSchema).min(1) }),
  z.object({
    type: z.literal("answer"),
    id: z.string(),
    result: z.union([
      z.object({ ok: z.literal(true), value: jsonSchema }),
      z.object({ ok: z.literal(false), error: failureSchema }),
    ]),
  }),
])
export type FromRunner = z.infer<typeof fromRunnerSchema>
export type FromRunnerOf<Type extends FromRunner["type"]> = Extract<FromRunner, { type: Type }>

export const toRunnerSchema = z.discriminatedUnion("type", [
  /** Answer to hello. Everything up to `acked` of this stream is stored; the runner resends the rest. */
  z.object({
    type: z.literal("welcome"),
    protocol: z.int(),
    epoch: z.int().positive(),
    acked: z.int().nonnegative(),
  }),
  z.object({ type: z.literal("ack"), acked: z.int().positive() }),
  /** Sent on each hello until `attempt.accepted` is stored; safe to repeat. */
  z.object({ type: z.literal("run"), claim: claimSchema }),
  z.object({ type: z.literal("stop"), ...attemptRefSchema.shape }),
  /** The room waits for this attempt: report its recorded state again. */
  z.object({ type: z.literal("report"), ...attemptRefSchema.shape }),
  /** The room lost the text of these open entries: send a checkpoint of each. */
  z.object({ type: z.literal("resend"), keys: z.array(z.string()) }),
  z.object({ type: z.literal("ask"), id: z.string(), ask: askSchema }),
])
export type ToRunner = z.infer<typeof toRunnerSchema>
export type ToRunnerOf<Type extends ToRunner["type"]> = Extract<ToRunner, { type: Type }>

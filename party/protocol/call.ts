import "./eval-free.ts"
import * as z from "zod"
import { cursorSchema } from "./cursor.ts"
import { entrySchema, failureSchema } from "./entry.ts"
import { sessionIdSchema, teamIdSchema } from "./ids.ts"
import { askSchema } from "./runner.ts"
import { jsonSchema } from "./text.ts"
import { attemptRefSchema, claimSchema, reportSchema, statusChangeSchema } from "./work.ts"

/** Server → session room: `POST /parties/session/:sessionId`, signed. Every call is safe to repeat. */
export const roomCallSchema = z.discriminatedUnion("call", [
  /**
   * From now on only `generation` may speak. A live attempt of an older one ends as `interrupted`. `known` is what
   * PostgreSQL holds, from which an empty room goes on numbering.
   */
  z.object({
    call: z.literal("fence"),
    generation: z.int().positive(),
    teamId: teamIdSchema,
    known: cursorSchema,
    reason: failureSchema,
  }),
  /** Hands over a claim made in PostgreSQL. */
  z.object({ call: z.literal("run"), claim: claimSchema }),
  /** There may be something to claim. */
  z.object({ call: z.literal("pull") }),
  z.object({ call: z.literal("stop"), ...attemptRefSchema.shape }),
  /** Session status changes in order; those already in the timeline are skipped by version. */
  z.object({ call: z.literal("status"), changes: z.array(statusChangeSchema).min(1) }),
  /** Closes the sockets of one person, or of one grant. */
  z.object({
    call: z.literal("revoke"),
    subject: z.string().nullable(),
    grantId: z.string().nullable(),
  }),
  z.object({ call: z.literal("ask"), ask: askSchema, withinMs: z.int().positive() }),
  /** The session is over: runner and model tokens stop working; viewers may still read. */
  z.object({ call: z.literal("end"), reason: failureSchema }),
])
export type RoomCall = z.infer<typeof roomCallSchema>
export type RoomCallOf<Name extends RoomCall["call"]> = Extract<RoomCall, { call: Name }>

/** Why a room's `ask` found no sandbox that answers now; every other reason is the sandbox's own answer. */
export const sandboxAwaySchema = z.enum([
  "runner-absent",
  "runner-lost",
  "no-answer",
  "sandbox-not-ready",
])
export type SandboxAway = z.infer<typeof sandboxAwaySchema>

export const roomAnswerSchema = z.union([
  z.object({ ok: z.literal(true), value: jsonSchema.optional() }),
  z.object({ ok: z.literal(false), error: failureSchema }),
])
export type RoomAnswer = z.infer<typeof roomAnswerSchema>

/** Server → team bus: `POST /parties/bus/:teamId`, signed. */
export const busCallSchema = z.discriminatedUnion("call", [
  z.object({
    call: z.literal("session"),
    sessionId: sessionIdSchema,
    change: statusChangeSchema,
  }),
  z.object({ call: z.literal("revoke"), subject: z.string() }),
])
export type BusCall = z.infer<typeof busCallSchema>

/** One numbered item of a room's log. */
export const logItemSchema = z.union([
  z.object({ seq: z.int().positive(), entry: entrySchema }),
  z.object({ seq: z.int().positive(), report: reportSchema }),
])
export type LogItem = z.infer<typeof logItemSchema>

/** Session room → server: `POST /api/internal/rooms`, signed. Every post is safe to repeat. */
export const roomPostSchema = z.discriminatedUnion("post", [
  /**
   * The log after `from` up to and with `to`, in order; older versions of a key may be missing, the newest is there.
   */
  z.object({
    post: z.literal("ingest"),
    sessionId: sessionIdSchema,
    epoch: z.int().positive(),
    generation: z.int().positive(),
    from: z.int().nonnegative(),
    to: z.int().positive(),
    items: z.array(logItemSchema),
  }),
  z.object({
    post: z.literal("claim-next"),
    sessionId: sessionIdSchema,
    generation: z.int().positive(),
  }),
])
export type RoomPost = z.infer<typeof roomPostSchema>
export type RoomPostOf<Name extends RoomPost["post"]> = Extract<RoomPost, { post: Name }>

/** Answers to posts; HTTP 409 carries `stale`, any other status that is not 200 means "try again later". */
export const ingestAnswerSchema = z.object({ ingestedSeq: z.int().nonnegative() })
export const claimAnswerSchema = z.object({ claim: claimSchema.nullable() })
export const staleAnswerSchema = z.object({
  stale: z.literal(true),
  generation: z.int().nonnegative(),
  epoch: z.int().nonnegative(),
  /** What a prompt is told that ran on the sandbox before; null when that one did not fail. */
  reason: failureSchema.nullable(),
})
export type StaleAnswer = Omit<z.infer<typeof staleAnswerSchema>, "stale">

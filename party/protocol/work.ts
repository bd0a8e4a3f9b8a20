import "./eval-free.ts"
import * as z from "zod"
import {
  authorSchema,
  changedFileSchema,
  draftEntrySchema,
  failureSchema,
  sessionStatusSchema,
} from "./entry.ts"
import { promptIdSchema } from "./ids.ts"
import { MAX_CALL_TOKENS } from "./limits.ts"
import { textSchema } from "./text.ts"

/** Names one try of one prompt. */
export const attemptRefSchema = z.object({
  promptId: promptIdSchema,
  attempt: z.int().positive(),
})
export type AttemptRef = z.infer<typeof attemptRefSchema>

export const terminalStateSchema = z.enum(["succeeded", "failed", "stopped", "interrupted"])
export type TerminalState = z.infer<typeof terminalStateSchema>

/** What PostgreSQL hands out once per attempt, and the room hands to its runner. */
export const claimSchema = z.object({
  ...attemptRefSchema.shape,
  generation: z.int().positive(),
  turnId: promptIdSchema,
  /** The attempt whose turn this one joins at the agent's next step; left out for a turn of its own. */
  steers: attemptRefSchema.optional(),
  text: textSchema,
  author: authorSchema,
  attachments: z.array(z.object({ fileId: textSchema, name: textSchema })),
  /** `provider/model`. */
  model: z.string(),
  agent: z.string(),
  deadlines: z.object({
    /** From the room sending `run` to the runner's `accepted`. */
    acceptMs: z.int().positive(),
    /** From OpenCode taking the prompt to its first sign of work. */
    startMs: z.int().positive(),
    /** Longest silence of the model while no tool runs. */
    silenceMs: z.int().positive(),
    /** Whole turn. */
    turnMs: z.int().positive(),
  }),
})
export type Claim = z.infer<typeof claimSchema>

export const fileDiffSchema = z.object({
  ...changedFileSchema.shape,
  binary: z.boolean(),
  /** Unified diff; empty for binary files and beyond the size limit. */
  patch: textSchema,
})
export const diffSchema = z.object({
  /** Commit that the diff is against. */
  base: textSchema,
  files: z.array(fileDiffSchema),
  /** Some patch was left out because the whole grew too large. */
  truncated: z.boolean(),
})
export type Diff = z.infer<typeof diffSchema>

export const bootPhaseSchema = z.enum(["machine", "clone", "agent", "warm-up"])
export type BootPhase = z.infer<typeof bootPhaseSchema>

const runnerReports = [
  z.object({ type: z.literal("attempt.accepted"), ...attemptRefSchema.shape }),
  z.object({ type: z.literal("attempt.running"), ...attemptRefSchema.shape }),
  z.object({
    type: z.literal("attempt.ended"),
    ...attemptRefSchema.shape,
    state: terminalStateSchema,
    error: failureSchema.nullable(),
  }),
  /** A steer whose host ended before the agent took it: its prompt goes back to the head of the queue. */
  z.object({ type: z.literal("attempt.returned"), ...attemptRefSchema.shape }),
  z.object({
    type: z.literal("boot.phase"),
    generation: z.int().positive(),
    phase: bootPhaseSchema,
    state: z.enum(["running", "done", "failed"]),
    /** Time since the phase began. */
    durationMs: z.int().nonnegative(),
    /** What a running phase is busy with, how far a failed one had come, and what is worth knowing of one that is done. */
    detail: textSchema,
    error: failureSchema.nullable(),
  }),
  z.object({
    type: z.literal("boot.ready"),
    generation: z.int().positive(),
    baseCommit: textSchema,
    /** Null where the work starts on no branch: in an empty repository, or where the repository's HEAD is a commit. */
    branch: textSchema.nullable(),
  }),
  z.object({ type: z.literal("turn.diff"), turnId: promptIdSchema, diff: diffSchema }),
] as const

const tokensSchema = z.int().nonnegative().max(MAX_CALL_TOKENS)

/** One model call, as the broker counted it. */
export const modelUsageSchema = z.object({
  type: z.literal("model.usage"),
  callId: z.string(),
  ...attemptRefSchema.partial().shape,
  model: z.string(),
  inputTokens: tokensSchema,
  outputTokens: tokensSchema,
  cachedInputTokens: tokensSchema,
})

const roomReports = [
  z.object({
    type: z.literal("runner.link"),
    generation: z.int().positive(),
    state: z.enum(["connected", "lost"]),
  }),
  modelUsageSchema,
] as const

/** What a runner may report: durable facts that are not timeline entries. */
export const runnerReportSchema = z.discriminatedUnion("type", runnerReports)
export type RunnerReport = z.infer<typeof runnerReportSchema>

/**
 * All durable facts that are not timeline entries. They share the numbering of entries, so PostgreSQL applies both in
 * one order.
 */
export const reportSchema = z.discriminatedUnion("type", [...runnerReports, ...roomReports])
export type Report = z.infer<typeof reportSchema>
export type ReportOf<Type extends Report["type"]> = Extract<Report, { type: Type }>

/** One durable item of a runner's outbox. */
export const outboxItemSchema = z.union([
  z.object({ entry: draftEntrySchema }),
  z.object({ report: runnerReportSchema }),
])
export type OutboxItem = z.infer<typeof outboxItemSchema>

export const statusChangeSchema = z.object({
  version: z.int().positive(),
  status: sessionStatusSchema,
  reason: textSchema,
})
export type StatusChange = z.infer<typeof statusChangeSchema>

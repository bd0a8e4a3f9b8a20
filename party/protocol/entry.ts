import "./eval-free.ts"
import * as z from "zod"
import { promptIdSchema } from "./ids.ts"
import { jsonSchema, storableText, textSchema } from "./text.ts"

export const promptStateSchema = z.enum([
  "queued",
  "dispatched",
  "running",
  "succeeded",
  "failed",
  "stopped",
  "interrupted",
  "withdrawn",
])
export type PromptState = z.infer<typeof promptStateSchema>

export const sessionStatusSchema = z.enum([
  "queued",
  "booting",
  "idle",
  "working",
  "waiting",
  "sleeping",
  "waking",
  "failed",
  "ended",
])
export type SessionStatus = z.infer<typeof sessionStatusSchema>

/** Why something failed: `reason` is a stable kebab-case word, `message` a sentence that says what to do. */
export const failureSchema = z.object({ reason: textSchema, message: textSchema })
export type Failure = z.infer<typeof failureSchema>

export const authorSchema = z.object({ id: textSchema, name: textSchema })
export type Author = z.infer<typeof authorSchema>

const instantSchema = z.iso.datetime()

const common = {
  /** Stable name of the entry in its session; a later version under the same key replaces the earlier one. */
  key: z.string().min(1).max(200).transform(storableText),
  /** Id of the turn's first prompt; null for what belongs to no turn. */
  turnId: promptIdSchema.nullable(),
  /** Tombstone: the entry was undone. */
  removed: z.literal(true).optional(),
}

const written = {
  text: textSchema,
  done: z.boolean(),
  /** The model broke off and was asked again: what it wrote then counts, this is kept because it was shown. */
  replaced: z.literal(true).optional(),
}

export const changedFileSchema = z.object({
  path: textSchema,
  oldPath: textSchema.optional(),
  status: z.enum(["added", "modified", "deleted", "renamed"]),
  additions: z.int().nonnegative(),
  deletions: z.int().nonnegative(),
})
export type ChangedFile = z.infer<typeof changedFileSchema>

const kinds = [
  z.object({
    ...common,
    kind: z.literal("prompt"),
    promptId: promptIdSchema,
    attempt: z.int().positive(),
    text: textSchema,
    author: authorSchema,
    attachments: z.array(z.object({ fileId: textSchema, name: textSchema })),
    state: promptStateSchema,
    error: failureSchema.nullable(),
  }),
  z.object({ ...common, kind: z.literal("text"), ...written }),
  z.object({ ...common, kind: z.literal("reasoning"), ...written }),
  z.object({
    ...common,
    kind: z.literal("tool"),
    name: textSchema,
    title: textSchema,
    input: jsonSchema,
    state: z.enum(["pending", "running", "completed", "error"]),
    output: textSchema,
    truncated: z.boolean(),
    /** Size of the whole output, also when `output` is cut. */
    bytes: z.int().nonnegative(),
    startedAt: instantSchema.nullable(),
    endedAt: instantSchema.nullable(),
    childSessionId: textSchema.optional(),
  }),
  z.object({
    ...common,
    kind: z.literal("todo"),
    items: z.array(z.object({ text: textSchema, state: textSchema })),
  }),
  z.object({ ...common, kind: z.literal("changes"), files: z.array(changedFileSchema) }),
  z.object({ ...common, kind: z.literal("gate"), gateId: textSchema, question: jsonSchema }),
  z.object({ ...common, kind: z.literal("image"), fileId: textSchema, alt: textSchema }),
  z.object({
    ...common,
    kind: z.literal("status"),
    status: sessionStatusSchema,
    reason: textSchema,
  }),
  z.object({ ...common, kind: z.literal("error"), reason: textSchema, message: textSchema }),
  z.object({ ...common, kind: z.literal("unknown"), raw: jsonSchema }),
] as const

/** One item of a timeline as its producer writes it, before the room numbers it. */
export const draftEntrySchema = z.discriminatedUnion("kind", kinds)
export type DraftEntry = z.infer<typeof draftEntrySchema>

const numbering = {
  /** Number of this version; the newest per key wins. */
  seq: z.int().positive(),
  /** Number of the key's first version: its place in the timeline. */
  firstSeq: z.int().positive(),
  /** Room time of this version, ISO 8601. */
  at: instantSchema,
}

/** One item of a timeline as rooms, PostgreSQL and viewers hold it. */
export const entrySchema = z.intersection(draftEntrySchema, z.object(numbering))
export type Entry = z.infer<typeof entrySchema>
export type EntryKind = Entry["kind"]
export type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>
export type DraftEntryOf<Kind extends EntryKind> = Extract<DraftEntry, { kind: Kind }>

/** The kinds whose text grows by deltas while they are open. */
export type StreamedEntry = EntryOf<"text" | "reasoning">

export const promptKey = (promptId: string) => `prompt:${promptId}`
/** Why the attempt ended as it did. */
export const errorKey = (promptId: string, attempt: number) => `error:${promptId}:${attempt}`
export const changesKey = (turnId: string) => `changes:${turnId}`
export const statusKey = (version: number) => `status:${version}`

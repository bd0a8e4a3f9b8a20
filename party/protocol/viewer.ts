import "./eval-free.ts"
import * as z from "zod"
import { cursorSchema } from "./cursor.ts"
import { entrySchema, sessionStatusSchema } from "./entry.ts"
import { deltaSchema } from "./runner.ts"
import { textSchema } from "./text.ts"

/** Everything that a viewer may send: no mutation travels on its socket. */
export const fromViewerSchema = z.discriminatedUnion("type", [
  /**
   * First message, and again whenever a frame's `from` is not the viewer's place. `since` is what the viewer holds.
   */
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    since: cursorSchema,
  }),
  /** Presents a fresh ticket, which prolongs the socket's lease. */
  z.object({ type: z.literal("renew"), ticket: z.string().max(4096) }),
  /** `received` counts the characters of all text frames that arrived on this socket. */
  z.object({ type: z.literal("seen"), received: z.int().nonnegative() }),
  z.object({ type: z.literal("presence"), state: z.enum(["here", "away"]), typing: z.boolean() }),
])
export type FromViewer = z.infer<typeof fromViewerSchema>

/** An open text that grew since its last frame: key, seq of the new checkpoint, its length. The viewer holds the text. */
export const grownSchema = z.tuple([z.string(), z.int().positive(), z.int().nonnegative()])
export type Grown = z.infer<typeof grownSchema>

export const personSchema = z.object({
  id: z.string(),
  name: textSchema,
  state: z.enum(["here", "away"]),
  typing: z.boolean(),
})
export type Person = z.infer<typeof personSchema>

export const runnerLinkSchema = z.enum(["connected", "lost", "absent"])
export type RunnerLink = z.infer<typeof runnerLinkSchema>

/** Since when, by the room's clock, what happens reaches no history, and why: a stable kebab-case word. */
export const outageSchema = z.object({ startedAt: z.iso.datetime(), reason: textSchema })
export type Outage = z.infer<typeof outageSchema>

export const toViewerSchema = z.discriminatedUnion("type", [
  /** First frame of each socket, before any hello. */
  z.object({ type: z.literal("welcome"), protocol: z.int(), epoch: z.int().positive() }),
  /** Answer to hello: everything after `since` follows as frames up to `upTo`, then live ones. */
  z.object({
    type: z.literal("replay"),
    upTo: cursorSchema,
    runner: runnerLinkSchema,
    outage: outageSchema.nullable(),
  }),
  /**
   * Answer to hello when the room no longer holds what the viewer lacks: read `timeline.page` until its `upTo` is at
   * least `ingested`, drop what was held of another epoch, then say hello from there.
   */
  z.object({ type: z.literal("resync"), ingested: cursorSchema }),
  /**
   * The log from after `from` up to and with `to`. Apply `entries`, then `grown`, then `deltas`. A frame with
   * `from === to` carries deltas only.
   */
  z.object({
    type: z.literal("frame"),
    from: z.int().nonnegative(),
    to: z.int().nonnegative(),
    entries: z.array(entrySchema).optional(),
    grown: z.array(grownSchema).optional(),
    deltas: z.array(deltaSchema).optional(),
  }),
  /** Too much is unseen: nothing more is sent until a `seen` makes room, then the room replays by itself. */
  z.object({ type: z.literal("lag") }),
  z.object({ type: z.literal("runner"), link: runnerLinkSchema }),
  /**
   * The history is not being stored at the moment and nothing new is begun: the server cannot be reached or cannot
   * store. What is running goes on, and is stored afterwards. Null once that is over.
   */
  z.object({ type: z.literal("outage"), outage: outageSchema.nullable() }),
  z.object({ type: z.literal("presence"), people: z.array(personSchema) }),
  z.object({ type: z.literal("error"), reason: z.string(), message: z.string() }),
])
export type ToViewer = z.infer<typeof toViewerSchema>
export type ToViewerOf<Type extends ToViewer["type"]> = Extract<ToViewer, { type: Type }>

/** What a team's bus tells its viewers. Hints: the page reads the rows again. */
export const busEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("welcome"), protocol: z.int() }),
  z.object({
    type: z.literal("session"),
    sessionId: z.string(),
    version: z.int().positive(),
    status: sessionStatusSchema,
    reason: textSchema,
  }),
])
export type BusEvent = z.infer<typeof busEventSchema>

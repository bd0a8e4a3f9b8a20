import type { RoomAnswer } from "../protocol/call.ts"
import type { CloseCode } from "../protocol/close-code.ts"
import type { ToRunner } from "../protocol/runner.ts"
import type { Attachment } from "./connection.ts"
import type { RoomMeta } from "./meta.ts"

/** Upserted by key: `INSERT … ON CONFLICT (key) DO UPDATE SET seq, body`; `firstSeq` is already the right one. */
export type EntryRow = { key: string; seq: number; firstSeq: number; body: string }
export type ReportRow = { seq: number; body: string }

/** Everything of ONE synchronous transaction. */
export type Store = {
  effect: "store"
  entries: EntryRow[]
  reports: ReportRow[]
  /** Only what changed; each member is one row of `meta`, its value as JSON. */
  meta: Partial<RoomMeta>
  /** Highest attempt assigned per prompt. */
  attempts: { promptId: string; attempt: number }[]
  /** Used ticket ids; those that expired may be deleted on the way. */
  tickets: { jti: string; expiresAtSeconds: number }[]
  /** Bodies of entries with `after < seq <= upTo` become null. */
  dropBodies: { after: number; upTo: number } | null
  /** Reports up to and with this number are deleted. */
  dropReportsUpTo: number | null
}

/**
 * What the adapter does, in this order, in the same synchronous turn; nothing else may touch the room in between.
 * A text that follows a `store` must not leave before that store is durable (the platform's output gate).
 */
export type Effect =
  | Store
  | { effect: "to-runner"; connection: string; message: ToRunner }
  /** One encoded message for each of these viewers, in the order of the list. */
  | { effect: "to-viewers"; connections: string[]; text: string }
  /** What this socket shall keep through hibernation. */
  | { effect: "attach"; connection: string; attachment: Attachment }
  /** The room has already forgotten this connection: a later `closed` of it is harmless. */
  | {
      effect: "close"
      connection: string
      code: CloseCode
      reason: string
    }
  /**
   * Reads entries and reports with `seq > from` in order, up to about `maxChars` of JSON but at least one, posts them
   * as `ingest` with `to` = the last one read, or `head` when nothing is left out, and comes back with `posted`.
   * The rows are read now, the post goes on by itself; there is never more than one of each kind under way.
   */
  | {
      effect: "post"
      post: "ingest"
      epoch: number
      generation: number
      from: number
      head: number
      maxChars: number
    }
  | { effect: "post"; post: "claim-next"; generation: number }
  /** Answers the `call` or `authorize-model` of that id. */
  | { effect: "reply"; replyId: string; answer: RoomAnswer }
  /** Sets the one in-memory timer, replacing the earlier one. It is lost on a restart, which is fine. */
  | { effect: "tickAt"; at: number }
  /** Sets the one durable alarm, replacing the earlier one. */
  | { effect: "alarmAt"; at: number }
  | { effect: "noAlarm" }
  /** Something worth a line in the log; `detail` holds no content. */
  | { effect: "log"; event: string; detail: Record<string, string | number> }

export type EffectOf<Name extends Effect["effect"]> = Extract<Effect, { effect: Name }>

/** The `value` of the answer to `authorize-model`. */
export type ModelPermit = {
  attempt: { promptId: string; attempt: number } | null
}

import type { Cursor } from "../protocol/cursor.ts"
import type { Failure } from "../protocol/entry.ts"
import type { TeamId } from "../protocol/ids.ts"
import type { AttemptRef, Claim, TerminalState } from "../protocol/work.ts"

/** How an attempt came out. */
export type Outcome = AttemptRef & { state: TerminalState }

/**
 * The one attempt that this room has in hand, or the last one it ended.
 * - `assigned`: stored, never sent to a runner, so a stop can end it here (D12).
 * - `sent`: a runner may have it.
 * - `accepted`, `running`: the runner said so.
 * - `ended`: over; `seq` is the number of its terminal entry, which PostgreSQL must confirm before the next claim (D10).
 */
export type Work =
  | {
      phase: "assigned" | "sent" | "accepted" | "running"
      claim: Claim
      stopRequested: boolean
      /**
       * When `run` and `stop` were first sent, and when the runner accepted, in room time: patience counts from there,
       * whatever reconnects meanwhile.
       */
      sentAt?: number
      acceptedAt?: number
      stopSentAt?: number
    }
  | { phase: "ended"; generation: number; outcome: Outcome; seq: number }

/**
 * A prompt that joins the live attempt's turn. `assigned`, `sent` and `accepted` as above; `running` once the agent has
 * taken it.
 */
export type Steer = { phase: "assigned" | "sent" | "accepted" | "running"; claim: Claim }

/**
 * Small durable facts, one storage row per key so that a flush rewrites only what changed: the log's counters move
 * with every flush, `work` holds a whole prompt.
 */
export type RoomMeta = {
  log: {
    /** Birth of this storage, in milliseconds since 1970. */
    epoch: number
    /** Number of the last stored item. */
    head: number
    /** Entries whose newest version is at or below this number have lost their body. */
    tail: number
    /** PostgreSQL holds everything up to and with this number. */
    ingestedSeq: number
    /** Where PostgreSQL stood when this storage was born: numbering goes on from there. */
    base: Cursor
  }
  /** The newest generation that was fenced in, and what its fence answered. 0 before the first. */
  fence: { generation: number; teamId: TeamId | null; ended: Outcome | null }
  /** Why the session is over. */
  ended: Failure | null
  work: Work | null
  /** Steers of the live attempt, in the order in which they came. */
  steers: Steer[]
  /** The runner's outbox: everything up to `acked` is stored. */
  stream: { generation: number; streamId: string; acked: number } | null
  /** Keys of texts and tools that are not finished, by which a restart finds them. */
  open: string[]
  /** Newest session status in the timeline. */
  statusVersion: number
  /** The generation that reported `boot.ready` last. */
  readyGeneration: number
  /** The runner's link as it was reported last. */
  link: { generation: number; state: "connected" | "lost" } | null
}

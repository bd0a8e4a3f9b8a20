import type { AccessRole } from "../protocol/token.ts"

/** Where a viewer's copy of the log stands. A live viewer has been sent everything up to the head. */
export type Feed = { state: "waiting" } | { state: "live" } | { state: "lagging"; at: number }

export type Viewer = {
  role: "viewer"
  id: string
  subject: string
  name: string
  access: AccessRole
  /** Id of the newest grant (the ticket's `jti`). */
  grantId: string
  leaseUntilMs: number
  feed: Feed
  /** Characters sent on this socket, and how many of them it says have arrived. */
  sent: number
  received: number
  presence: { state: "here" | "away"; typing: boolean }
}

/** A runner that has not said hello may not speak for its generation yet. */
export type Runner = {
  role: "runner"
  id: string
  generation: number
  hello: boolean
}

export type Connection = Viewer | Runner

/**
 * What a socket keeps through hibernation, as plain JSON under 2 KB. Counters are not kept: a restored viewer counts
 * as having seen everything, and its own `from` check finds what is missing.
 */
export type Attachment =
  | {
      role: "viewer"
      subject: string
      name: string
      access: AccessRole
      grantId: string
      leaseUntilMs: number
      feed: Feed
    }
  | { role: "runner"; generation: number; hello: boolean }

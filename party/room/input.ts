import type { RoomCall, StaleAnswer } from "../protocol/call.ts"
import type { FromRunner } from "../protocol/runner.ts"
import type { SandboxClaims, TicketClaims } from "../protocol/token.ts"
import type { FromViewer } from "../protocol/viewer.ts"
import type { Claim, ReportOf } from "../protocol/work.ts"
import type { Attachment } from "./connection.ts"

/**
 * How a post to the server came out. `stale` is the body of a 409; null for every other failure. `reason` is a
 * kebab-case word: the server's own, or what kept it from saying one.
 */
export type PostResult<Value> =
  | ({ ok: true } & Value)
  | { ok: false; reason: string; stale: StaleAnswer | null }

/**
 * Everything that can happen to a room. Connection and reply ids are the adapter's own, unique while they live.
 */
export type RoomInput =
  /**
   * The first input after each start, cold or from hibernation, with the sockets that are still open (none after a
   * crash). Repairs what the last life left behind.
   */
  | { type: "restored"; connections: { connection: string; attachment: Attachment }[] }
  /** A socket whose token was verified (signature, audience, expiry, Origin). */
  | { type: "opened"; role: "viewer"; connection: string; claims: TicketClaims }
  | { type: "opened"; role: "runner"; connection: string; claims: SandboxClaims }
  /** `chars` is the length of the text frame. */
  | { type: "runner-said"; connection: string; message: FromRunner; chars: number }
  | {
      type: "viewer-said"
      connection: string
      message: Exclude<FromViewer, { type: "renew" }>
    }
  /** The ticket of a viewer's `renew`, verified; null when it is not valid (any more). */
  | { type: "renewed"; connection: string; claims: TicketClaims | null }
  /** A text frame that is no message of this protocol. */
  | { type: "garbled"; connection: string; message: string }
  | { type: "closed"; connection: string }
  /** A signed call of the server; answered by one `reply` effect. */
  | { type: "call"; replyId: string; call: RoomCall }
  /** A model client of the sandbox asks the broker; answered by one `reply` effect (see `ModelPermit`). */
  | { type: "authorize-model"; replyId: string; claims: SandboxClaims }
  /** The broker counted one model call. */
  | { type: "usage"; usage: ReportOf<"model.usage"> }
  /** The answer to a `post` effect. */
  | { type: "posted"; post: "ingest"; result: PostResult<{ ingestedSeq: number }> }
  | { type: "posted"; post: "claim-next"; result: PostResult<{ claim: Claim | null }> }
  /** The in-memory timer of `tickAt` fired. */
  | { type: "tick"; runnerHeardAt: number | null }
  /**
   * The durable alarm fired. `runnerHeardAt` is when the current runner's socket last gave a sign of life: its last
   * message or automatic ping answer, whichever is later; null without one.
   */
  | { type: "alarm"; runnerHeardAt: number | null }

export type RoomInputOf<Type extends RoomInput["type"]> = Extract<RoomInput, { type: Type }>

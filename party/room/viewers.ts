import { CLOSE } from "../protocol/close-code.ts"
import { LEASE_SECONDS, MAX_VIEWER_UNSEEN_CHARS } from "../protocol/limits.ts"
import type { TicketClaims } from "../protocol/token.ts"
import { PROTOCOL_VERSION } from "../protocol/version.ts"
import type { FromViewer } from "../protocol/viewer.ts"
import type { Viewer } from "./connection.ts"
import { flush } from "./flush.ts"
import type { RoomInputOf } from "./input.ts"
import { catchUp, replay } from "./replay.ts"
import { attachViewer, sendNews, unseen } from "./send.ts"
import { close, type Step } from "./step.ts"

type OpenedViewer = Extract<RoomInputOf<"opened">, { role: "viewer" }>

/** A viewer is let in once per ticket, after the ticket's id is stored (A1). */
export function openViewer(step: Step, { connection: id, claims }: OpenedViewer): void {
  if (!spendTicket(step, id, claims)) return
  const viewer: Viewer = {
    role: "viewer",
    id,
    subject: claims.sub,
    name: claims.name,
    access: claims.role,
    grantId: claims.jti,
    leaseUntilMs: leaseEnd(step),
    feed: { state: "waiting" },
    sent: 0,
    received: 0,
    presence: { state: "here", typing: false },
  }
  step.state.connections.set(id, viewer)
  attachViewer(step, viewer)
  const { epoch } = step.state.meta.log
  sendNews(step, viewer, { type: "welcome", protocol: PROTOCOL_VERSION, epoch })
}

/** A fresh ticket of the same person prolongs the lease; anything else closes the socket. */
export function renewViewer(step: Step, viewer: Viewer, claims: TicketClaims | null) {
  if (claims?.sub !== viewer.subject) {
    return close(step, viewer.id, CLOSE.unauthorized, "the ticket is not valid for this socket")
  }
  if (!spendTicket(step, viewer.id, claims)) return
  viewer.grantId = claims.jti
  viewer.access = claims.role
  viewer.leaseUntilMs = leaseEnd(step)
  attachViewer(step, viewer)
}

export function takeFromViewer(
  step: Step,
  viewer: Viewer,
  message: RoomInputOf<"viewer-said">["message"],
) {
  if (viewer.leaseUntilMs <= step.now) {
    return close(step, viewer.id, CLOSE.unauthorized, "the lease ran out: get a new ticket")
  }
  switch (message.type) {
    case "hello":
      return helloViewer(step, viewer, message)
    case "seen":
      return takeSeen(step, viewer, message.received)
    case "presence":
      viewer.presence = { state: message.state, typing: message.typing }
      step.state.pending.presence = true
      return
    default:
      message satisfies never
  }
}

function helloViewer(
  step: Step,
  viewer: Viewer,
  { protocol, since }: FromViewer & { type: "hello" },
) {
  if (protocol !== PROTOCOL_VERSION) {
    return close(
      step,
      viewer.id,
      CLOSE.wrongVersion,
      `this room speaks version ${PROTOCOL_VERSION}`,
    )
  }
  flush(step)
  replay(step, viewer, since)
  step.state.pending.presence = true
}

/** A viewer that lags goes on once half of what may be under way has arrived. */
function takeSeen(step: Step, viewer: Viewer, received: number): void {
  viewer.received = Math.max(viewer.received, received)
  // More than was counted: this socket is older than the room's memory.
  viewer.sent = Math.max(viewer.sent, viewer.received)
  if (viewer.feed.state !== "lagging" || unseen(viewer) > MAX_VIEWER_UNSEEN_CHARS / 2) return
  flush(step)
  catchUp(step, viewer, viewer.feed.at)
}

function spendTicket(step: Step, connection: string, { jti, exp }: TicketClaims): boolean {
  if (step.reader.ticketUsed(jti)) {
    close(step, connection, CLOSE.unauthorized, "the ticket was used before: get a new one")
    return false
  }
  step.state.pending.tickets.push({ jti, expiresAtSeconds: exp })
  flush(step)
  return true
}

const leaseEnd = (step: Step) => step.now + LEASE_SECONDS * 1_000

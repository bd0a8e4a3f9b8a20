import { CLOSE } from "../protocol/close-code.ts"
import { MAX_VIEWER_UNSEEN_CHARS } from "../protocol/limits.ts"
import type { ToViewer } from "../protocol/viewer.ts"
import type { Attachment, Viewer } from "./connection.ts"
import type { Frame } from "./frames.ts"
import { close, type Step } from "./step.ts"

/** Sends one encoded frame to every live viewer; one that lags behind too far gets `lag` and keeps its place. */
export function broadcastFrame(step: Step, frame: Frame): void {
  const receivers: string[] = []
  for (const viewer of liveViewers(step)) {
    if (takes(viewer, frame.text)) receivers.push(viewer.id)
    else lag(step, viewer, frame.from)
  }
  send(step, receivers, frame.text)
}

/** Sends one frame of a replay. False when the viewer has too much unseen: it keeps its place and lags. */
export function sendFrame(step: Step, viewer: Viewer, frame: Frame): boolean {
  if (!takes(viewer, frame.text)) {
    lag(step, viewer, frame.from)
    return false
  }
  send(step, [viewer.id], frame.text)
  return true
}

/** News that is not part of the log, for every live viewer. */
export function broadcastNews(step: Step, message: ToViewer): void {
  const text = JSON.stringify(message)
  const receivers = liveViewers(step)
  for (const viewer of receivers) viewer.sent += text.length
  send(
    step,
    receivers.map(({ id }) => id),
    text,
  )
}

export function sendNews(step: Step, viewer: Viewer, message: ToViewer): void {
  const text = JSON.stringify(message)
  viewer.sent += text.length
  send(step, [viewer.id], text)
}

/** Writes down what the viewer's socket keeps through hibernation. */
export function attachViewer(step: Step, viewer: Viewer): void {
  const { subject, name, access, grantId, leaseUntilMs, feed } = viewer
  const attachment: Attachment = {
    role: "viewer",
    subject,
    name,
    access,
    grantId,
    leaseUntilMs,
    feed,
  }
  step.effects.push({ effect: "attach", connection: viewer.id, attachment })
}

export const unseen = (viewer: Viewer) => viewer.sent - viewer.received

/** Counts the text as sent unless too much is under way; what is seen entirely takes a text of any size. */
function takes(viewer: Viewer, text: string): boolean {
  if (unseen(viewer) > 0 && unseen(viewer) + text.length > MAX_VIEWER_UNSEEN_CHARS) return false
  viewer.sent += text.length
  return true
}

function lag(step: Step, viewer: Viewer, at: number): void {
  viewer.feed = { state: "lagging", at }
  attachViewer(step, viewer)
  sendNews(step, viewer, { type: "lag" })
}

/** The lease is checked where something would be shown. */
function liveViewers(step: Step): Viewer[] {
  const live: Viewer[] = []
  for (const connection of step.state.connections.values()) {
    if (connection.role !== "viewer" || connection.feed.state !== "live") continue
    if (connection.leaseUntilMs > step.now) live.push(connection)
    else close(step, connection.id, CLOSE.unauthorized, "the lease ran out: get a new ticket")
  }
  return live
}

function send(step: Step, connections: string[], text: string): void {
  if (connections.length > 0) step.effects.push({ effect: "to-viewers", connections, text })
}

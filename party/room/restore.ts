import type { Attachment, Connection } from "./connection.ts"
import { flush } from "./flush.ts"
import { resumeIngest } from "./ingest.ts"
import type { RoomInputOf } from "./input.ts"
import { runnerLink, setLink } from "./runner-link.ts"
import { type Step, toRunner } from "./step.ts"

/**
 * Takes up a life that ended: in hibernation, with its sockets open and nothing under way, or in a crash, without any.
 * After a crash the runner's next hello resumes its work.
 */
export function restore(step: Step, { connections }: RoomInputOf<"restored">): void {
  const { state } = step
  for (const { connection, attachment } of connections) {
    state.connections.set(connection, revive(connection, attachment))
    if (attachment.role === "runner" && attachment.hello) state.runner = connection
  }
  if (state.runner === null && runnerLink(state) === "connected") setLink(step, "lost")
  askForOpenTexts(step)
  resumeIngest(step)
  flush(step)
}

/** Deltas live in memory only, so every open text may lack its end. */
function askForOpenTexts(step: Step): void {
  const { openTexts } = step.state
  if (step.state.runner === null || openTexts.size === 0) return
  for (const open of openTexts.values()) open.asked = true
  toRunner(step, { type: "resend", keys: [...openTexts.keys()] })
}

function revive(id: string, attachment: Attachment): Connection {
  if (attachment.role === "runner") return { ...attachment, id }
  return { ...attachment, id, sent: 0, received: 0, presence: { state: "here", typing: false } }
}

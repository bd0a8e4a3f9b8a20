import type { DraftEntry } from "#protocol/entry"
import type { Agent } from "../agent/agent.ts"
import { resync } from "../agent/translate.ts"
import { startTurnState } from "../agent/turn-state.ts"
import type { AttemptRecord, Emit } from "./ports.ts"

/**
 * Emits again what the agent finished in the last turn of a sandbox that was lost with its outbox, so that the timeline
 * lacks nothing that the agent remembers. What it left unfinished the room has closed already.
 */
export async function showAgain(
  { agent, emit }: { agent: Pick<Agent, "calls">; emit: Emit },
  { turnId, messageId }: Pick<AttemptRecord, "turnId" | "messageId">,
  sessionId: string,
): Promise<void> {
  if (!(await agent.calls.hasMessage(sessionId, messageId))) return
  let state = startTurnState(turnId, sessionId, messageId)
  const shown = new Set<string>()
  for (let next: string | undefined = sessionId; next !== undefined; ) {
    shown.add(next)
    const messages = await agent.calls.messagesFrom(next, next === sessionId ? messageId : null)
    const step = resync(state, messages, Date.now())
    state = step.state
    for (const entry of step.entries) if (isFinished(entry)) emit.entry(entry)
    next = [...state.sessions].find((id) => !shown.has(id))
  }
}

function isFinished(entry: DraftEntry): boolean {
  if (entry.kind === "text" || entry.kind === "reasoning") return entry.done
  return entry.kind !== "tool" || entry.state === "completed" || entry.state === "error"
}

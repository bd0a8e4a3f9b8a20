import type { DraftEntry } from "#protocol/entry"
import type { Agent } from "../agent/agent.ts"
import { resync } from "../agent/translate.ts"
import type { TurnState } from "../agent/turn-state.ts"
import type { Emit } from "./ports.ts"

/**
 * Emits what the agent finished in a turn that has ended without its word, as far as the state does not have it yet, so
 * that the timeline lacks nothing that the agent remembers. What it left unfinished has been closed already.
 */
export async function showAgain(
  { agent, emit }: { agent: Pick<Agent, "calls">; emit: Emit },
  ended: TurnState,
): Promise<void> {
  const { rootSessionId, messageId } = ended
  if (!(await agent.calls.hasMessage(rootSessionId, messageId))) return
  let state = ended
  const shown = new Set<string>()
  for (let next: string | undefined = rootSessionId; next !== undefined; ) {
    shown.add(next)
    const messages = await agent.calls.messagesFrom(next, next === rootSessionId ? messageId : null)
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

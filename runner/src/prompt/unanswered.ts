import type { Agent } from "../agent/agent.ts"
import type { AgentMessage } from "../agent/wire.ts"
import type { Log } from "../log.ts"

/**
 * Deletes every user message that has no answer, with the empty answers to it: the agent would carry them into the next
 * prompt. Steers are settled before, since an empty answer is what tells that one was read.
 */
export async function deleteUnanswered(
  { calls, whenUp }: Pick<Agent, "calls" | "whenUp">,
  sessionId: string,
  log: Log,
): Promise<void> {
  try {
    await whenUp()
    const messages = await calls.messagesFrom(sessionId, null)
    for (const id of unanswered(messages)) await calls.deleteMessage(sessionId, id)
  } catch (error) {
    log("prompts without an answer could not be deleted", { error: String(error) })
  }
}

/** Ids of user messages without an answer, each after the empty answers to it. */
export function unanswered(messages: AgentMessage[]): string[] {
  return messages
    .filter(({ info }) => info.role === "user")
    .flatMap(({ info: { id } }) => {
      const answers = messages.filter(({ info }) => info.parentID === id)
      return answers.some(hasContent) ? [] : [...answers.map(({ info }) => info.id), id]
    })
}

function hasContent({ parts }: AgentMessage): boolean {
  return parts.some(
    ({ known, part }) => known === "tool" || (known === "text" && part.text.trim() !== ""),
  )
}

import { storableText } from "#protocol/text"
import type { StoredPart } from "../parts/agent-store.ts"
import { canonical } from "./canonical.ts"
import type { EndOfHistory } from "./end-of-history.ts"

/** D2: one prompt at a time reaches the agent. I6: what is shown of the agent's parts is the agent's own; of a turn that went well, all of it. */
export function agentOffences(end: EndOfHistory): string[] {
  const offences = [...end.world.machines.agent.offences]
  const whole = messagesOfGoodTurns(end)
  for (const part of end.world.machines.agent.parts.values()) {
    const entry = end.entries.get(part.id)
    const problem = partProblem(part, entry, whole.has(part.messageID))
    if (problem) {
      offences.push(
        `[I6] ${part.id} ${problem}: ${canonical(part)} is shown as ${canonical(entry ?? null)}`,
      )
    }
  }
  return offences
}

function partProblem(
  part: StoredPart,
  entry: ReturnType<EndOfHistory["entries"]["get"]>,
  isWhole: boolean,
): string | null {
  if (part.type === "tool") {
    if (!isWhole || part.state?.status !== "completed") return null
    const isShown = entry?.kind === "tool" && entry.state === "completed"
    return isShown && entry.output === storableText(String(part.state.output))
      ? null
      : "is not shown as it is"
  }
  const text = storableText(part.text ?? "")
  if (!entry) return isWhole && text !== "" ? "is missing" : null
  if (entry.kind !== part.type) return "is of another kind"
  if (isWhole) return entry.text === text && entry.done ? null : "differs"
  return isBeginning(entry.text, text) ? null : "is not its beginning"
}

/** A piece may have ended amid a character, which then stands as a replacement. */
function isBeginning(shown: string, text: string): boolean {
  return text.startsWith(shown.trimEnd().replace(/\uFFFD$/, ""))
}

/** Ids of the agent's messages that belong to the last, successful attempt of a prompt. */
function messagesOfGoodTurns({ world, prompts }: EndOfHistory): Set<string> {
  const { agent } = world.machines
  const good = new Set<string>()
  for (const { text, state } of prompts) {
    if (state !== "succeeded") continue
    const mark = text.split(" / ")[0]
    const last = agent.taken.findLast((prompt) => prompt.text.split(" / ")[0] === mark)
    if (!last) continue
    for (const messages of agent.sessions.values()) {
      for (const { info } of messages) if (info.parentID === last.messageId) good.add(info.id)
    }
  }
  return good
}

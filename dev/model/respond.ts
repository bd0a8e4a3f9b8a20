import type { Conversation } from "./conversation.ts"
import { type Step, scriptedResponse, withoutScripts } from "./script.ts"
import { tourResponse } from "./tour.ts"

const longestTitle = 50

/** The steps that answer a request: a title, the next response of a script, or a stop of the tour. */
export function respond(conversation: Conversation): Step[] {
  if (asksForTitle(conversation)) return [{ say: title(conversation) }]
  return scriptedResponse(conversation) ?? tourResponse(conversation)
}

/** OpenCode asks for titles and summaries without tools, with the person's prompts as material. */
function asksForTitle({ toolNames, system }: Conversation): boolean {
  return toolNames.length === 0 && /title generator|summari[sz]/i.test(system)
}

function title({ turns }: Conversation): string {
  const lines = turns
    .flatMap((turn) => (turn.role === "user" ? withoutScripts(turn.text).split("\n") : []))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("Generate a title"))
  return lines[0]?.slice(0, longestTitle).trimEnd() ?? "Scripted session"
}

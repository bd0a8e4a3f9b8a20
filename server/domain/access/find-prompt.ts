import type { Prompt } from "../../../prisma/generated/client.ts"
import type { DomainContext } from "../context.ts"
import { NotFound } from "../errors.ts"

/** The prompt, if its session belongs to the actor's team and is the one that the caller names. */
export async function findPrompt(
  ctx: DomainContext,
  { promptId, sessionId }: { promptId: string; sessionId?: string },
): Promise<Prompt> {
  const prompt = await ctx.db.prompt.findUnique({
    where: { id: promptId, sessionId, session: { teamId: ctx.actor.teamId } },
  })
  if (!prompt) throw new NotFound("prompt", promptId)
  return prompt
}

import type { Prompt } from "../../../prisma/generated/client.ts"
import type { DomainContext } from "../context.ts"
import { NotFound } from "../errors.ts"

/** The prompt, if its session belongs to the actor's team. */
export async function findPrompt(ctx: DomainContext, promptId: string): Promise<Prompt> {
  const prompt = await ctx.db.prompt.findUnique({
    where: { id: promptId, session: { teamId: ctx.actor.teamId } },
  })
  if (!prompt) throw new NotFound("prompt", promptId)
  return prompt
}

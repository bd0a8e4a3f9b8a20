import { hashKey, mintKeyText } from "../domain/api-keys/key-text.ts"
import type { Scope, SystemContext } from "../domain/context.ts"

type NewKey = {
  teamId: string
  userId: string
  name: string
  scopes: readonly Scope[]
  expiresAt?: Date
}

/** A key of a person, with its secret, which the database does not keep. */
export async function createApiKey(
  ctx: Pick<SystemContext, "db" | "mint" | "now">,
  { teamId, userId, name, scopes, expiresAt }: NewKey,
): Promise<{ id: string; prefix: string; secret: string }> {
  const { prefix, secret } = mintKeyText()
  const { id } = await ctx.db.apiKey.create({
    data: {
      id: ctx.mint("key"),
      teamId,
      userId,
      name,
      prefix,
      hash: hashKey(secret),
      scopes: [...scopes],
      expiresAt: expiresAt ?? null,
      createdAt: ctx.now(),
    },
  })
  return { id, prefix, secret }
}

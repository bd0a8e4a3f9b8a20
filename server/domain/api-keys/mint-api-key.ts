import type { Scope, SystemContext } from "../context.ts"
import { hashKey, mintKeyText } from "./key-text.ts"

type NewKey = {
  teamId: string
  userId: string
  name: string
  scopes: readonly Scope[]
  expiresAt?: Date
}

/** Makes a key and answers its secret, which is not kept and never shown again. */
export async function mintApiKey(
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

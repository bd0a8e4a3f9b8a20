import * as z from "zod"
import type { ApiKey } from "../../../prisma/generated/client.ts"
import type { MemberRole } from "../../../prisma/generated/enums.ts"
import type { Actor, SystemContext } from "../context.ts"
import { Unauthorized } from "../errors.ts"
import { hashKey, isKeyText } from "./key-text.ts"

const USED_AT_RESOLUTION_MS = 60_000

const scopesSchema = z.array(z.enum(["read", "write", "admin"]))

type KeyRow = Pick<ApiKey, "id" | "teamId" | "userId" | "scopes"> &
  Pick<ApiKey, "expiresAt" | "lastUsedAt" | "revokedAt"> & {
    userName: string
    role: MemberRole | null
  }

/** The person and team that an API key stands for. */
export async function authenticateApiKey(
  ctx: Pick<SystemContext, "db" | "now">,
  secret: string,
): Promise<Actor> {
  const key = isKeyText(secret) ? await findKey(ctx, hashKey(secret)) : undefined
  if (!key) throw new Unauthorized("api-key-unknown", "This API key does not exist. Check it.")
  const now = ctx.now()
  refuseDead(key, now)
  if (!key.role) {
    throw new Unauthorized(
      "api-key-without-member",
      "This key's owner has left the team. Use a key of somebody who is in it.",
    )
  }
  await noteUse(ctx, key, now)
  return {
    userId: key.userId,
    name: key.userName,
    teamId: key.teamId,
    role: key.role,
    scopes: scopesSchema.parse(key.scopes),
  }
}

/** One query, as every request begins with it. */
async function findKey(
  { db }: Pick<SystemContext, "db">,
  hash: string,
): Promise<KeyRow | undefined> {
  const [key] = await db.$queryRaw<KeyRow[]>`
    select k.id, k."teamId", k."userId", k.scopes, k."expiresAt", k."lastUsedAt", k."revokedAt",
           u.name as "userName", m.role
      from "ApiKey" k
      join "User" u on u.id = k."userId"
      left join "Member" m on m."teamId" = k."teamId" and m."userId" = k."userId"
     where k.hash = ${hash}`
  return key
}

function refuseDead({ revokedAt, expiresAt }: KeyRow, now: Date): void {
  if (revokedAt)
    throw new Unauthorized("api-key-revoked", "This API key was revoked. Create a new one.")
  if (expiresAt && expiresAt <= now) {
    throw new Unauthorized("api-key-expired", "This API key has expired. Create a new one.")
  }
}

/** Once a minute is enough to tell whether a key is still in use. */
async function noteUse({ db }: Pick<SystemContext, "db">, key: KeyRow, now: Date): Promise<void> {
  const stale = new Date(now.getTime() - USED_AT_RESOLUTION_MS)
  if (key.lastUsedAt && key.lastUsedAt > stale) return
  await db.apiKey.updateMany({
    where: { id: key.id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lte: stale } }] },
    data: { lastUsedAt: now },
  })
}

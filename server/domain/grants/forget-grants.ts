import type { Database } from "../../db.ts"

const DAY_MS = 24 * 60 * 60_000

/** Deletes the grants whose lease ended more than a day ago: no socket is held by them, and nothing revokes them. */
export async function forgetGrants(db: Database, now: Date): Promise<void> {
  const before = new Date(now.getTime() - DAY_MS)
  await db.grant.deleteMany({ where: { leaseUntil: { lt: before } } })
}

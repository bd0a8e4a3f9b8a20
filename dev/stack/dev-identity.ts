import pg from "pg"
import { hashKey } from "../../server/domain/api-keys/key-text.ts"

export type DevIdentity = { apiKey: string; userId: string; teamId: string }

const USER_ID = "usr_0000000000dev"
const TEAM_ID = "team_0000000000dev"
const KEY_ID = "key_0000000000dev"
const PREFIX_CHARS = 11

/** The person, team and API key that a local stack is used with. Repeating it changes nothing. */
export async function ensureDevIdentity(databaseUrl: string, apiKey: string): Promise<DevIdentity> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(`INSERT INTO "User" (id, name) VALUES ($1, 'Dev') ON CONFLICT DO NOTHING`, [
      USER_ID,
    ])
    await client.query(`INSERT INTO "Team" (id, name) VALUES ($1, 'Dev') ON CONFLICT DO NOTHING`, [
      TEAM_ID,
    ])
    await client.query(
      `INSERT INTO "Member" ("teamId", "userId", role) VALUES ($1, $2, 'owner') ON CONFLICT DO NOTHING`,
      [TEAM_ID, USER_ID],
    )
    // A home that was made anew over an old database brings a new key, which replaces the old one.
    await client.query(
      `INSERT INTO "ApiKey" (id, "teamId", "userId", name, prefix, hash, scopes)
       VALUES ($1, $2, $3, 'Local stack', $4, $5, '{read,write,admin}')
       ON CONFLICT (id) DO UPDATE SET prefix = excluded.prefix, hash = excluded.hash`,
      [KEY_ID, TEAM_ID, USER_ID, apiKey.slice(0, PREFIX_CHARS), hashKey(apiKey)],
    )
  } finally {
    await client.end()
  }
  return { apiKey, userId: USER_ID, teamId: TEAM_ID }
}

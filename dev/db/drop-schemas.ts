import pg from "pg"
import { Refusal, withoutPassword } from "./with-database.ts"

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]

/** Erasing a database on another machine wants to be confirmed. */
export function refuseElsewhere(url: string): void {
  if (LOOPBACK.includes(new URL(url).hostname)) return
  throw new Refusal(
    `${withoutPassword(url)} is not on this machine. To erase it, run: npm run db:reset -- --yes`,
  )
}

/** Drops all that the product has in a database, its tables and the job queue's, unless somebody uses it. */
export async function dropSchemas(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const users = await otherConnections(client)
    if (users > 0) {
      throw new Refusal(
        `${withoutPassword(url)} is in use (${users} open connections). Stop what uses it, such as make dev, and try again.`,
      )
    }
    await client.query(`
      drop schema if exists graphile_worker cascade;
      drop schema if exists public cascade;
      create schema public;
    `)
  } finally {
    await client.end()
  }
}

async function otherConnections(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
  )
  return rows[0]?.count ?? 0
}

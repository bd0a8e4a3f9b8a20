import { readdirSync } from "node:fs"
import { join } from "node:path"
import { runMigrations } from "graphile-worker"
import pg from "pg"
import { runCommand } from "../run-command.ts"
import { ROOT } from "./builds.ts"

const MIGRATE_DEADLINE_MS = 120_000

/** Brings a database to this version: our migrations, then the job queue's own schema. Does nothing when it is there. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  if (!(await isMigrated(databaseUrl))) {
    const done = await runCommand([join(ROOT, "node_modules/.bin/prisma"), "migrate", "deploy"], {
      deadlineMs: MIGRATE_DEADLINE_MS,
      capture: true,
      env: { DATABASE_URL: databaseUrl },
    })
    if (!done.ok)
      throw new Error(`The database could not be migrated (${done.reason}):\n${done.output}`)
  }
  await migrateJobs(databaseUrl)
}

/** The pool is ours so that its connections are gone when this is done: PostgreSQL may be stopped right after. */
async function migrateJobs(databaseUrl: string): Promise<void> {
  const pgPool = new pg.Pool({ connectionString: databaseUrl })
  const say = (error: Error) => console.error(`PostgreSQL: ${error.message}`)
  pgPool.on("error", say)
  pgPool.on("connect", (client) => client.on("error", say))
  try {
    await runMigrations({ pgPool })
  } finally {
    await pgPool.end()
  }
}

/** Prisma's CLI takes seconds to find out that there is nothing to do; this takes one query. */
async function isMigrated(databaseUrl: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl })
  try {
    await client.connect()
    const { rows } = await client.query<{ migration_name: string }>(
      "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL",
    )
    const applied = new Set(rows.map((row) => row.migration_name))
    return migrations().every((name) => applied.has(name))
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined
    if (code === UNDEFINED_TABLE || code === UNDEFINED_DATABASE) return false
    throw error
  } finally {
    await client.end()
  }
}

const UNDEFINED_TABLE = "42P01"
const UNDEFINED_DATABASE = "3D000"

function migrations(): string[] {
  return readdirSync(join(ROOT, "prisma/migrations"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
}

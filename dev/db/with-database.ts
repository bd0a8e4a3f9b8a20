import { join } from "node:path"
import { fileURLToPath } from "node:url"
import pg from "pg"
import { makeDirectory } from "../make-directory.ts"
import { launchPostgres } from "../postgres/launch.ts"
import { StartError } from "../postgres/start-error.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

const CONNECT_DEADLINE_MS = 10_000
const UNDEFINED_DATABASE = "3D000"

export type AvailableDatabase = {
  url: string
  /** Ends a server that was started for this use; leaves every other one alone. */
  release: () => Promise<void>
}

/** The database of DATABASE_URL, else the embedded one of the local home (AGENT_OPS_HOME, default `.local`). */
export async function ensureDatabase(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<AvailableDatabase> {
  if (environment.DATABASE_URL) {
    await assertAnswers(environment.DATABASE_URL)
    return { url: environment.DATABASE_URL, release: async () => {} }
  }
  const home = environment.AGENT_OPS_HOME || join(ROOT, ".local")
  makeDirectory(home)
  const server = await launchPostgres({ dataDir: join(home, "postgres") })
  return { url: server.url, release: server.isNew ? server.stop : async () => {} }
}

/** The database itself may still have to be made; its server has to be there. Throws {@link Refusal}. */
export async function assertAnswers(url: string): Promise<void> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Refusal("DATABASE_URL is not a postgresql:// URL. Correct it, or leave it out.")
  }
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_DEADLINE_MS,
  })
  try {
    await client.connect()
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === UNDEFINED_DATABASE) return
    throw new Refusal(
      `DATABASE_URL names ${withoutPassword(url)}, which does not answer: ${describe(error)}. Start it or correct the URL; without DATABASE_URL the embedded PostgreSQL is used.`,
    )
  } finally {
    await client.end()
  }
}

/** Node reports a refused connection to a name with two addresses as an error without a message. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ("code" in error ? String(error.code) : error.name)
}

/**
 * Runs a script's work against the database; a refusal becomes one sentence and exit code 1. `check` sees
 * DATABASE_URL before anything connects to it.
 */
export async function withDatabase(
  work: (url: string) => Promise<void>,
  check: (databaseUrl: string) => void = () => {},
): Promise<void> {
  let database: AvailableDatabase | undefined
  try {
    if (process.env.DATABASE_URL) check(process.env.DATABASE_URL)
    database = await ensureDatabase()
    await work(database.url)
  } catch (error) {
    process.exitCode = 1
    const isExplained = error instanceof StartError || error instanceof Refusal
    console.error(isExplained ? error.message : error)
  } finally {
    await database?.release()
  }
}

/** A reason not to go on, in a sentence that says what to do. */
export class Refusal extends Error {
  override name = "Refusal"
}

/** The URL as it may be printed. */
export function withoutPassword(url: string): string {
  const shown = new URL(url)
  if (shown.password) shown.password = "…"
  return decodeURI(shown.href)
}

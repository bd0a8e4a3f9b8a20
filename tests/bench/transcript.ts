import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { applyPage, emptyLog, sinceOf } from "#protocol/session-log"
import { runCommand } from "../../dev/run-command.ts"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { startStack } from "../../dev/stack/stack.ts"
import { apiClient } from "../../server/client.ts"

const PAGE = 2_000
const SEED_DEADLINE_MS = 60_000

export type TranscriptTimes = {
  /** The whole timeline by API pages into a viewer's log. */
  wholeMs: number[]
  /** The newest page of 200, which is what a screen shows first. */
  firstPageMs: number[]
  /** The same rows read once from PostgreSQL by a bare client and parsed. */
  bareMs: number[]
  entries: number
}

/** P6 without a browser: a session of 10,000 entries as the seed data has it. */
export async function measureTranscript(rounds: number): Promise<TranscriptTimes> {
  const home = mkdtempSync(join(tmpdir(), "agent-ops-bench-"))
  const stack = await startStack({ home: join(home, "stack"), port: await freePorts(4) })
  const { databaseUrl } = stack.line
  const database = new pg.Client({ connectionString: databaseUrl })
  try {
    const seeded = await runCommand(["npm", "run", "--silent", "db:seed"], {
      deadlineMs: SEED_DEADLINE_MS,
      capture: true,
      env: { DATABASE_URL: databaseUrl },
    })
    if (!seeded.ok) throw new Error(`The seed data ${seeded.reason}:\n${seeded.output}`)
    await database.connect()
    const { rows } = await database.query<{ sessionId: string }>(
      `SELECT "sessionId" FROM "Entry" GROUP BY 1 ORDER BY count(*) DESC LIMIT 1`,
    )
    const sessionId = rows[0]?.sessionId ?? ""
    const api = apiClient(stack.line)
    const times: TranscriptTimes = { wholeMs: [], firstPageMs: [], bareMs: [], entries: 0 }
    for (let round = 0; round < rounds; round++) {
      times.bareMs.push(await timed(() => readBare(database, sessionId)))
      times.firstPageMs.push(await timed(() => api.timeline.page.query({ sessionId, limit: 200 })))
      times.wholeMs.push(
        await timed(async () => {
          times.entries = await readWhole(api, sessionId)
        }),
      )
    }
    return times
  } finally {
    await database.end()
    await stack.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

async function readWhole(api: ReturnType<typeof apiClient>, sessionId: string): Promise<number> {
  let log = emptyLog()
  for (;;) {
    const since = log.cursor.seq === 0 ? "0" : sinceOf(log)
    const page = await api.timeline.page.query({ sessionId, since, limit: PAGE })
    log = applyPage(log, page.items, page.upTo)
    if (!page.hasMore) return log.entries.size
  }
}

async function readBare(database: pg.Client, sessionId: string): Promise<void> {
  await database.query(`SELECT * FROM "Entry" WHERE "sessionId" = $1 ORDER BY seq`, [sessionId])
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await act()
  return performance.now() - startedAt
}

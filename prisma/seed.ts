import type { Database } from "../server/db.ts"
import { storeEntries } from "../server/domain/timeline/store-entries.ts"
import { seedPeople } from "./seed/people.ts"
import type { SessionDraft } from "./seed/session-draft.ts"
import { seedSessions } from "./seed/sessions.ts"

const BATCH = 1_000
const DEADLINE_MS = 60_000

/**
 * Adds what is missing of the seed data: two teams, three roles, one session in each status, one of 10,000 entries.
 * What is there stays as it is. Returns how much was added.
 */
export async function seed(
  db: Database,
  now: Date,
): Promise<{ sessions: number; entries: number }> {
  await seedPeople(db)
  const drafts = seedSessions(now.getTime())
  const present = await db.session.findMany({
    where: { id: { in: drafts.map(({ id }) => id) } },
    select: { id: true },
  })
  const known = new Set(present.map(({ id }) => id))
  const missing = drafts.filter(({ id }) => !known.has(id))
  for (const draft of missing) await insert(db, draft)
  return {
    sessions: missing.length,
    entries: missing.reduce((sum, { log }) => sum + log.entries.length, 0),
  }
}

/** A session whole or not at all. */
async function insert(db: Database, draft: SessionDraft): Promise<void> {
  const { session, prompts, attempts, sandboxes, usage, diffs, log } = draft.rows()
  const sessionId = session.id
  await db.$transaction(
    async (tx) => {
      await tx.session.create({ data: session })
      await tx.statusChange.createMany({
        data: log.statuses.map((change) => ({ sessionId, ...change })),
      })
      await tx.sandbox.createMany({ data: sandboxes })
      await tx.prompt.createMany({ data: prompts })
      await tx.attempt.createMany({ data: attempts })
      await tx.usage.createMany({ data: usage })
      await tx.turnDiff.createMany({ data: diffs })
      for (let start = 0; start < log.entries.length; start += BATCH) {
        await storeEntries(tx, sessionId, log.entries.slice(start, start + BATCH))
      }
    },
    { timeout: DEADLINE_MS },
  )
}

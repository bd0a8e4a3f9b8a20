import { afterAll, beforeAll, expect, test } from "vitest"
import { entrySchema } from "#protocol/entry"
import { sessionIdSchema } from "#protocol/ids"
import { diffSchema } from "#protocol/work"
import { ensureDevIdentity } from "../../dev/stack/dev-identity.ts"
import { DEV_TEAM } from "../../prisma/seed/people.ts"
import { seed } from "../../prisma/seed.ts"
import { connectDatabase } from "../../server/db.ts"
import { readPhases } from "../../server/domain/sandboxes/index.ts"
import { refreshStatus } from "../../server/domain/status/index.ts"
import { toEntry } from "../../server/domain/timeline/stored-entry.ts"
import { testDatabaseUrl } from "../../server/testing/database.ts"

const NOW = new Date("2026-11-22T10:00:00.000Z")
const STATUSES = "queued booting idle working waiting sleeping waking failed ended".split(" ")

const url = await testDatabaseUrl()
const db = connectDatabase(url)
let added: Awaited<ReturnType<typeof seed>>
let elapsedMs: number

beforeAll(async () => {
  const before = performance.now()
  added = await seed(db, NOW)
  elapsedMs = performance.now() - before
})
afterAll(() => db.$disconnect())

test("two teams, three roles, a session in each status, quickly", async () => {
  expect(await db.team.count()).toBe(2)
  const members = await db.member.findMany({ where: { teamId: DEV_TEAM.id } })
  expect(new Set(members.map(({ role }) => role))).toEqual(new Set(["owner", "member", "viewer"]))
  const sessions = await db.session.findMany({ where: { teamId: DEV_TEAM.id } })
  expect(new Set(sessions.map(({ status }) => status))).toEqual(new Set(STATUSES))
  expect(added.sessions).toBe(sessions.length + 1)
  expect(elapsedMs).toBeLessThan(10_000)
})

test("one session has 10,000 entries in 250 turns", async () => {
  const sizes = await db.entry.groupBy({ by: ["sessionId"], _count: true })
  const long = sizes.find(({ _count }) => _count === 10_000)
  expect(await db.attempt.count({ where: { sessionId: long?.sessionId } })).toBe(250)
})

test("repeating it adds and changes nothing", async () => {
  await db.session.updateMany({ where: { status: "idle" }, data: { title: "Renamed by a person" } })
  expect(await seed(db, new Date(NOW.getTime() + 60_000))).toEqual({ sessions: 0, entries: 0 })
  expect(await db.session.count({ where: { title: "Renamed by a person" } })).toBe(1)
})

test("every entry, id, phase and diff is one that the product could have written", async () => {
  for (const row of await db.entry.findMany()) {
    const { sessionId: _, body, ...columns } = row
    entrySchema.parse(toEntry({ ...columns, body: Object(body) }))
  }
  for (const { id } of await db.session.findMany()) sessionIdSchema.parse(id)
  for (const { phases } of await db.sandbox.findMany()) readPhases(phases)
  for (const { base, files, truncated } of await db.turnDiff.findMany()) {
    diffSchema.parse({ base, files, truncated })
  }
})

test("a log number belongs to one entry, and PostgreSQL holds all up to the last", async () => {
  for (const { id, ingestedSeq } of await db.session.findMany()) {
    const entries = await db.entry.findMany({ where: { sessionId: id } })
    expect(new Set(entries.map(({ seq }) => seq)).size).toBe(entries.length)
    expect(Math.max(...entries.map(({ seq }) => seq))).toBe(ingestedSeq)
  }
})

test("the stored status is the one that follows from the rows", async () => {
  const before = await db.session.findMany({ orderBy: { id: "asc" } })
  await db.$transaction(async (tx) => {
    for (const { id, status } of before) {
      // Gates have no rows yet, so nothing but the seed says that a session waits.
      if (status !== "waiting") await refreshStatus(tx, id, NOW)
    }
  })
  const after = await db.session.findMany({ orderBy: { id: "asc" } })
  const facts = ({ id, status, statusReason }: (typeof after)[number]) => [id, status, statusReason]
  expect(after.map(facts)).toEqual(before.map(facts))
})

test("whoever signs in to a local stack sees the sessions", async () => {
  expect(await ensureDevIdentity(url, "key")).toMatchObject({ teamId: DEV_TEAM.id })
  expect(await db.team.count()).toBe(2)
})

import { expect, test } from "vitest"
import { createContext, newSession } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { archiveSession } from "./archive-session.ts"
import { listSessions } from "./list-sessions.ts"
import { terminateSession } from "./terminate-session.ts"

const system = await freshSystem()

test("sessions are listed newest first, page by page, each once, also of one instant", async () => {
  const ctx = await createContext(system)
  const created: string[] = []
  for (let i = 0; i < 7; i++) {
    created.push((await newSession(ctx)).id)
    if (i % 3 === 2) ctx.clock.advance(1_000)
  }
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await listSessions(ctx, { limit: 3, cursor })
    seen.push(...page.items.map(({ id }) => id))
    cursor = page.nextCursor ?? undefined
  } while (cursor)
  expect([...seen].sort()).toEqual([...created].sort())
  expect(seen[0]).toBe(created.at(-1))
})

test("a query finds part of the title or the repository, and takes % and _ as they are", async () => {
  const ctx = await createContext(system)
  const wanted = await newSession(ctx, "Raise coverage to 100% of login_form")
  await newSession(ctx, "Something else")
  const find = async (query: string) =>
    (await listSessions(ctx, { limit: 50, query })).items.map(({ id }) => id)
  expect(await find("COVERAGE")).toEqual([wanted.id])
  expect(await find("100%")).toEqual([wanted.id])
  expect(await find("n_f")).toEqual([wanted.id])
  expect(await find("o%g")).toEqual([])
  expect(await find("git/project")).toHaveLength(2)
})

test("a list holds one status if asked, and no archived session", async () => {
  const ctx = await createContext(system)
  const [ended, archived] = [await newSession(ctx), await newSession(ctx)]
  await newSession(ctx)
  await terminateSession(ctx, { sessionId: ended.id })
  await archiveSession(ctx, { sessionId: archived.id, archived: true })
  const ids = async (status?: "ended") =>
    (await listSessions(ctx, { limit: 50, status })).items.map(({ id }) => id)
  expect(await ids("ended")).toEqual([ended.id])
  expect(await ids()).not.toContain(archived.id)
  await archiveSession(ctx, { sessionId: archived.id, archived: false })
  expect(await ids()).toContain(archived.id)
})

test("a neighbour's sessions are not listed", async () => {
  await newSession(await createContext(system))
  const { items } = await listSessions(await createContext(system), { limit: 50 })
  expect(items).toEqual([])
})

test("a cursor that is none says so", async () => {
  const ctx = await createContext(system)
  for (const cursor of ["x", "_", "1e400_ses", "99999999999999999_ses"]) {
    await expect(listSessions(ctx, { limit: 1, cursor })).rejects.toMatchObject({
      reason: "cursor-invalid",
    })
  }
})

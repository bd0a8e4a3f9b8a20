import { afterAll, expect, test } from "vitest"
import { isDatabaseUnreachable, isUniqueViolation } from "./database-errors.ts"
import { connectDatabase } from "./db.ts"
import { freshSystem } from "./testing/system.ts"

const { db, mint } = await freshSystem()
const nowhere = connectDatabase("postgresql://u:p@127.0.0.1:9/db")
afterAll(() => nowhere.$disconnect())

const failure = async (work: PromiseLike<unknown>): Promise<unknown> => {
  try {
    return await work
  } catch (error) {
    return error
  }
}

test("a PostgreSQL that is not there is told from a query that is wrong", async () => {
  const absent = [
    () => nowhere.user.count(),
    () => nowhere.$queryRaw`select 1`,
    () => nowhere.$transaction((tx) => tx.user.count()),
  ]
  for (const work of absent) expect(isDatabaseUnreachable(await failure(work()))).toBe(true)
  const wrong = await failure(db.$queryRaw`select * from nowhere`)
  expect(wrong).toBeInstanceOf(Error)
  expect(isDatabaseUnreachable(wrong)).toBe(false)
  expect(isDatabaseUnreachable(new Error("ECONNREFUSED is only a word here"))).toBe(false)
})

test("a connection that PostgreSQL ends counts as unreachable", async () => {
  const ended = await failure(
    db.$transaction(async (tx) => {
      await db.$executeRaw`
        select pg_terminate_backend(pid) from pg_stat_activity
         where pid <> pg_backend_pid() and pid = ${await backendPid(tx)}`
      return tx.user.count()
    }),
  )
  expect(isDatabaseUnreachable(ended)).toBe(true)
  expect(await db.$queryRaw`select 1 as one`).toEqual([{ one: 1 }])
})

test("a row that was there first is told from other failures", async () => {
  const data = { id: mint("usr"), name: "Ada" }
  await db.user.create({ data })
  expect(isUniqueViolation(await failure(db.user.create({ data })))).toBe(true)
  expect(isUniqueViolation(new Error("P2002"))).toBe(false)
})

async function backendPid(tx: Pick<typeof db, "$queryRaw">): Promise<number> {
  const [row] = await tx.$queryRaw<{ pid: number }[]>`select pg_backend_pid() as pid`
  return row?.pid ?? 0
}

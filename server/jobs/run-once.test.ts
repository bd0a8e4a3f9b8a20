import { expect, test } from "vitest"
import { connectDatabase } from "../db.ts"
import { createSession } from "../domain/sessions/index.ts"
import { sandboxId } from "../sandbox/provider.ts"
import { testDatabaseUrl } from "../testing/database.ts"
import { createOwner } from "../testing/factories.ts"
import { testJobs } from "../testing/run-jobs.ts"
import { runDueJobs } from "./run-once.ts"

const url = await testDatabaseUrl()

test("due jobs run and those of later stay; nothing waits for a worker", async () => {
  const db = connectDatabase(url)
  const { ctx, rooms } = await testJobs(db)
  const live = { ...ctx, now: () => new Date() }
  try {
    const owner = { ...live, actor: await createOwner(live) }
    const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
    const { id } = await createSession(owner, wish)
    await runDueJobs(live, url, { sweep: true })
    expect(await ctx.provider.status(sandboxId(id, 1))).toBe("running")
    expect(rooms.calls(id).map(({ call }) => call)).toContain("status")
    const left = await db.$queryRaw<{ task_identifier: string }[]>`
      select task_identifier from graphile_worker.jobs order by 1`
    expect(left.map(({ task_identifier }) => task_identifier)).toEqual([
      "check-sandbox",
      "sandbox-deadline",
    ])
  } finally {
    await rooms.close()
    await db.$disconnect()
  }
})

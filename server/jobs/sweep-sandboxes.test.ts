import { afterAll, expect, test } from "vitest"
import { sessionIdSchema } from "#protocol/ids"
import { LEASE_SECONDS } from "#protocol/limits"
import { connectSession, createSession } from "../domain/sessions/index.ts"
import { idOf, patient, specOf } from "../sandbox/provider.contract.ts"
import { sandboxId } from "../sandbox/provider.ts"
import { testDatabase } from "../testing/database.ts"
import { createOwner, TestRoom } from "../testing/factories.ts"
import { testJobs } from "../testing/run-jobs.ts"

const db = await testDatabase()
const jobs = await testJobs(db)
const { ctx, rooms, run } = jobs

afterAll(async () => {
  await rooms.close()
  await db.$disconnect()
})

async function requested() {
  const owner = { ...ctx, actor: await createOwner(ctx) }
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  const { id } = await createSession(owner, wish)
  return { sessionId: sessionIdSchema.parse(id), ref: { sessionId: id, generation: 1 } }
}

/** As if every job of the session had been lost. */
const loseJobs = (sessionId: string) =>
  db.$executeRaw`delete from graphile_worker._private_jobs where payload->>'sessionId' = ${sessionId}`

test("[F10] machines that no session knows are ended, known ones are not", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  const orphan = specOf()
  const old = { ...specOf(), sessionId, generation: 9 }
  await ctx.provider.create(orphan, patient())
  await run("sweep-sandboxes", {})
  expect(await ctx.provider.status(idOf(orphan))).toBe("gone")
  expect(await ctx.provider.status(idOf(old))).toBe("gone")
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("running")
})

test("an orphan that does not end is told of, after the others were ended", async () => {
  const { terminate } = ctx.provider
  const [stubborn, other] = [specOf(), specOf()]
  await ctx.provider.create(stubborn, patient())
  await ctx.provider.create(other, patient())
  ctx.provider.terminate = async (id) => {
    if (id === idOf(stubborn)) throw new Error("it does not end")
    await terminate(id)
  }
  try {
    await expect(run("sweep-sandboxes", {})).rejects.toThrow("could not be ended")
  } finally {
    ctx.provider.terminate = terminate
  }
  expect(await ctx.provider.status(idOf(other))).toBe("gone")
})

test("a ready sandbox whose machine is missing is looked at at once, however young it is", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  await new TestRoom(ctx, { id: sessionId }).ready()
  await loseJobs(sessionId)
  await run("sweep-sandboxes", {})
  expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(0)
  ctx.provider.stop(sandboxId(sessionId, 1))
  await run("sweep-sandboxes", {})
  expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(1)
  expect(await db.sandbox.findFirst({ where: ref })).toMatchObject({ state: "stopping" })
})

test("whatever waits for a job that was lost gets it again", async () => {
  const waits = await requested()
  const hangs = await requested()
  await run("start-sandbox", hangs.ref)
  const vanished = await requested()
  await run("start-sandbox", vanished.ref)
  await new TestRoom(ctx, { id: vanished.sessionId }).ready()
  ctx.provider.lose(sandboxId(vanished.sessionId, 1))
  for (const { sessionId } of [waits, hangs, vanished]) await loseJobs(sessionId)

  ctx.clock.advance(ctx.settings.sandboxReadyMs + 60_001)
  await run("sweep-sandboxes", {})
  expect(await jobs.runWaiting("announce-status", waits.sessionId)).toBe(1)
  expect(await jobs.runWaiting("start-sandbox", waits.sessionId)).toBe(1)
  expect(await jobs.runWaiting("sandbox-deadline", hangs.sessionId)).toBe(1)
  expect(await jobs.runWaiting("check-sandbox", vanished.sessionId)).toBe(1)
  expect(await db.sandbox.findFirst({ where: vanished.ref })).toMatchObject({ state: "stopping" })

  await loseJobs(hangs.sessionId)
  await run("sweep-sandboxes", {})
  expect(await jobs.runWaiting("stop-sandbox", hangs.sessionId)).toBe(1)
})

test("prompts that wait beside an idle sandbox are delivered", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  await new TestRoom(ctx, { id: sessionId }).ready()
  await loseJobs(sessionId)
  ctx.clock.advance(60_001)
  await run("sweep-sandboxes", {})
  expect(await jobs.runWaiting("deliver", sessionId)).toBe(1)
  expect(rooms.calls(sessionId).at(-1)).toEqual({ call: "pull" })
})

test("jobs that a killed process held are released", async () => {
  const { sessionId } = await requested()
  await db.$executeRaw`
    update graphile_worker._private_jobs
       set locked_by = 'worker-killed', locked_at = now() - interval '6 minutes'
     where payload->>'sessionId' = ${sessionId}`
  await run("sweep-sandboxes", {})
  const [{ held } = { held: -1n }] = await db.$queryRaw<{ held: bigint }[]>`
    select count(*) as held from graphile_worker.jobs where locked_by = 'worker-killed'`
  expect(held).toBe(0n)
})

test("[A1] grants are forgotten a day after their lease ended, not before", async () => {
  const owner = { ...ctx, actor: await createOwner(ctx) }
  const { id: sessionId } = await createSession(owner, {
    repoUrl: "file:///srv/git/project",
    prompt: "Fix the failing test",
  })
  const grants = () => db.grant.count({ where: { sessionId } })
  await connectSession(owner, { sessionId: sessionIdSchema.parse(sessionId) })
  ctx.clock.advance(LEASE_SECONDS * 1_000 + 23 * 60 * 60_000)
  await run("sweep-sandboxes", {})
  expect(await grants()).toBe(1)
  ctx.clock.advance(60 * 60_000 + 1)
  await run("sweep-sandboxes", {})
  expect(await grants()).toBe(0)
})

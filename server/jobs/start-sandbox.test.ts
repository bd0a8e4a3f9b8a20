import { afterAll, expect, test } from "vitest"
import { sessionIdSchema } from "#protocol/ids"
import { createSession, wakeSession } from "../domain/sessions/index.ts"
import { sandboxId } from "../sandbox/provider.ts"
import { testDatabase } from "../testing/database.ts"
import { createOwner, TestRoom } from "../testing/factories.ts"
import { type TestJobs, testJobs } from "../testing/run-jobs.ts"

const db = await testDatabase()
const jobs = await testJobs(db)
const { ctx, rooms, run } = jobs

afterAll(async () => {
  await rooms.close()
  await db.$disconnect()
})

async function requested({ ctx: system }: TestJobs = jobs) {
  const owner = { ...system, actor: await createOwner(system) }
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  const { id: sessionId } = await createSession(owner, wish)
  return { owner, sessionId, ref: { sessionId, generation: 1 } }
}

const sandboxOf = (sessionId: string, generation = 1) =>
  db.sandbox.findUniqueOrThrow({
    where: { sessionId_generation: { sessionId, generation } },
  })

const sessionOf = (id: string) => db.session.findUniqueOrThrow({ where: { id } })

const terminations = (sessionId: string, generation = 1) =>
  ctx.provider.calls.filter((call) => call === `terminate ${sandboxId(sessionId, generation)}`)

test("the room is fenced before the machine is made, with tokens of this generation", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  const [fence] = rooms.calls(sessionId)
  expect(fence).toMatchObject({ call: "fence", generation: 1, known: "0" })
  const spec = ctx.provider.running.get(sandboxId(sessionId, 1))
  expect(spec).toMatchObject({ sessionId, generation: 1, repoUrl: "file:///srv/git/project" })
  const claims = JSON.parse(
    Buffer.from(spec?.runnerToken.split(".")[1] ?? "", "base64url").toString(),
  )
  expect(claims).toMatchObject({ sub: sessionId, gen: 1, aud: `session:${sessionId}` })
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "starting" })
  expect((await sessionOf(sessionId)).status).toBe("booting")
})

test("a repeated job makes one machine, one for a passed generation makes none", async () => {
  const { sessionId, ref } = await requested()
  await Promise.all([run("start-sandbox", ref), run("start-sandbox", ref)])
  await run("start-sandbox", ref)
  expect(ctx.provider.running.has(sandboxId(sessionId, 1))).toBe(true)
  const before = ctx.provider.calls.length
  await run("start-sandbox", { sessionId, generation: 2 })
  await run("start-sandbox", { sessionId: "ses_00000000nobody", generation: 1 })
  expect(ctx.provider.calls.length).toBe(before)
})

test.each([
  { script: "hang", reason: "sandbox-create-timeout", sentence: "was not made within" },
  { script: "fail", reason: "sandbox-create-failed", sentence: "could not be made" },
] as const)(
  "[F10] a create that comes to nothing ($script) says why, is terminated once, keeps the prompt, and can be tried again",
  async ({ script, reason, sentence }) => {
    const { owner, sessionId, ref } = await requested()
    ctx.provider.script.push(script)
    const began = performance.now()
    await run("start-sandbox", ref)
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(await sandboxOf(sessionId)).toMatchObject({ state: "stopping", error: { reason } })
    const failed = await sessionOf(sessionId)
    expect(failed.status).toBe("failed")
    expect(failed.statusReason).toContain(sentence)

    expect(await jobs.runWaiting("stop-sandbox", sessionId)).toBe(1)
    expect(terminations(sessionId)).toHaveLength(1)
    expect(await sandboxOf(sessionId)).toMatchObject({ state: "stopped" })
    expect(await db.prompt.count({ where: { sessionId, state: "queued" } })).toBe(1)

    await wakeSession(owner, { sessionId: sessionIdSchema.parse(sessionId) })
    await run("start-sandbox", { sessionId, generation: 2 })
    expect(await ctx.provider.status(sandboxId(sessionId, 2))).toBe("running")
    expect((await ctx.provider.list()).map(({ id }) => id)).not.toContain(sandboxId(sessionId, 1))
  },
)

test("[F10] a machine that is never ready is given up at its deadline, by the phase it is stuck in", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  const room = new TestRoom(ctx, { id: sessionId })
  await room.report({
    type: "boot.phase",
    generation: 1,
    phase: "clone",
    state: "running",
    durationMs: 0,
    detail: "",
    error: null,
  })
  expect(await jobs.runWaiting("sandbox-deadline", sessionId)).toBe(1)
  const { statusReason, status } = await sessionOf(sessionId)
  expect(status).toBe("failed")
  expect(statusReason).toContain(
    "not ready within 180 s: it got stuck while the repository was cloned",
  )
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(terminations(sessionId)).toHaveLength(1)
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("gone")
})

test("a deadline that passes after the sandbox was ready changes nothing", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  await new TestRoom(ctx, { id: sessionId }).ready()
  await run("sandbox-deadline", ref)
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "ready", error: null })
})

test("[F10] a machine that dies at once is noticed by the check that follows its create", async () => {
  const { sessionId, ref } = await requested()
  ctx.provider.script.push("die")
  await run("start-sandbox", ref)
  for (const _ of ["its runner may have said why", "it did not"]) {
    expect(await sandboxOf(sessionId)).toMatchObject({ state: "starting", error: null })
    expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(1)
  }
  expect(await sandboxOf(sessionId)).toMatchObject({ error: { reason: "sandbox-lost" } })
  expect(await sandboxOf(sessionId, 2)).toMatchObject({ state: "requested" })
})

test("[F10] a boot whose failure is told just after its machine is gone keeps that reason, and is not tried again by itself", async () => {
  const { sessionId, ref } = await requested()
  ctx.provider.script.push("die")
  await run("start-sandbox", ref)
  expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(1)
  const error = { reason: "clone-timeout", message: "Cloning took longer than 120 s." }
  await new TestRoom(ctx, { id: sessionId }).report({
    type: "boot.phase",
    generation: 1,
    phase: "clone",
    state: "failed",
    durationMs: 120_000,
    detail: "",
    error,
  })
  await jobs.runWaiting("check-sandbox", sessionId)
  expect(await sandboxOf(sessionId)).toMatchObject({ error: { reason: "clone-timeout" } })
  expect(await db.sandbox.count({ where: { sessionId } })).toBe(1)
})

test("a session whose rooms cannot be reached says so, gets no machine, and goes on when they are back", async () => {
  const { sessionId, ref } = await requested()
  rooms.setReachable(false)
  for (const _ of [1, 2]) await run("start-sandbox", ref)
  expect(await sessionOf(sessionId)).toMatchObject({
    status: "booting",
    statusReason: expect.stringMatching(/^Waits for the rooms, which do not answer; .*\.$/),
  })
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("gone")
  rooms.setReachable(true)
  expect(await jobs.runWaiting("start-sandbox", sessionId)).toBe(1)
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("running")
  expect((await sessionOf(sessionId)).statusReason).toBe("Starts the sandbox's machine.")
})

test("a sandbox whose rooms stayed away until its deadline fails for that reason", async () => {
  const { sessionId, ref } = await requested()
  rooms.setReachable(false)
  await run("start-sandbox", ref)
  expect(await jobs.runWaiting("sandbox-deadline", sessionId)).toBe(1)
  rooms.setReachable(true)
  expect(await sandboxOf(sessionId)).toMatchObject({ error: { reason: "rooms-unreachable" } })
  expect((await sessionOf(sessionId)).statusReason).toMatch(/rooms do not answer.*Wake the session/)
})

test("[E5] a room that its sandbox's fence never reached is fenced when the sandbox is cleared away, so that it may post its log", async () => {
  const { sessionId, ref } = await requested()
  rooms.setReachable(false)
  await run("start-sandbox", ref)
  await run("sandbox-deadline", ref)
  await expect(run("stop-sandbox", ref)).rejects.toMatchObject({ name: "RoomUnreachable" })
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "stopped" })
  rooms.setReachable(true)
  await run("stop-sandbox", ref)
  expect(rooms.calls(sessionId)).toMatchObject([{ call: "fence", generation: 2, known: "0" }])
})

test("a room that was fenced before its machine was made hears nothing of a machine that nothing ran on", async () => {
  const { sessionId, ref } = await requested()
  await run("start-sandbox", ref)
  await run("sandbox-deadline", ref)
  await run("stop-sandbox", ref)
  expect(rooms.calls(sessionId)).toMatchObject([{ call: "fence", generation: 1 }])
})

test("a sandbox that is given up while its machine is made has that machine ended", async () => {
  // The jobs that run amid the create take their time on a busy machine.
  const patient = await testJobs(db, { sandboxes: { createMs: 60_000 } })
  try {
    const { sessionId, ref } = await requested(patient)
    const { provider } = patient.ctx
    const { create } = provider
    provider.create = async (spec, options) => {
      await patient.run("sandbox-deadline", ref)
      await patient.runWaiting("stop-sandbox", sessionId)
      await create(spec, options)
    }
    await patient.run("start-sandbox", ref)
    expect(await patient.runWaiting("stop-sandbox", sessionId)).toBe(1)
    expect(await provider.status(sandboxId(sessionId, 1))).toBe("gone")
  } finally {
    await patient.rooms.close()
  }
})

test("no more sandboxes start at once than there are places, and the first that asked goes first", async () => {
  await db.sandbox.updateMany({ data: { state: "stopped" } })
  const few = await testJobs(db, { sandboxes: { maxStarting: 1 } })
  try {
    const first = await requested(few)
    few.ctx.clock.advance(1_000)
    const second = await requested(few)
    await few.run("start-sandbox", second.ref)
    expect(await sandboxOf(second.sessionId)).toMatchObject({ state: "requested" })
    expect((await sessionOf(second.sessionId)).statusReason).toContain("its turn")
    await few.run("start-sandbox", first.ref)
    expect(await sandboxOf(first.sessionId)).toMatchObject({ state: "starting" })

    await few.runWaiting("start-sandbox", second.sessionId)
    expect(await sandboxOf(second.sessionId)).toMatchObject({ state: "requested" })
    await new TestRoom(few.ctx, { id: first.sessionId }).ready()
    await few.runWaiting("start-sandbox", second.sessionId)
    expect(await sandboxOf(second.sessionId)).toMatchObject({ state: "starting" })
  } finally {
    await few.rooms.close()
  }
})

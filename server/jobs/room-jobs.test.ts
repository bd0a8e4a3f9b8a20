import { afterAll, expect, test } from "vitest"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import { claimForRoom } from "../domain/dispatch/index.ts"
import { sendPrompt } from "../domain/prompts/index.ts"
import { createSession, terminateSession } from "../domain/sessions/index.ts"
import { sandboxId } from "../sandbox/provider.ts"
import { testDatabase } from "../testing/database.ts"
import { createOwner, newPromptId, TestRoom } from "../testing/factories.ts"
import { testJobs } from "../testing/run-jobs.ts"

const db = await testDatabase()
const jobs = await testJobs(db)
const { ctx, rooms, run } = jobs

afterAll(async () => {
  await rooms.close()
  await db.$disconnect()
})

async function ready() {
  const owner = { ...ctx, actor: await createOwner(ctx) }
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  const { id } = await createSession(owner, wish)
  const sessionId = sessionIdSchema.parse(id)
  await run("start-sandbox", { sessionId, generation: 1 })
  const room = new TestRoom(ctx, { id })
  await room.ready()
  return { owner, sessionId, room }
}

async function claim(sessionId: string): Promise<string> {
  const post = { post: "claim-next", sessionId: sessionIdSchema.parse(sessionId) } as const
  const claimed = await claimForRoom(ctx, { ...post, generation: 1 })
  if (claimed.kind === "stale" || !claimed.claim) throw new Error("nothing was claimed")
  return claimed.claim.promptId
}

const named = (sessionId: string, name: string) =>
  rooms.calls(sessionId).filter(({ call }) => call === name)

test("[D3] a room is told of what waits, of a standing claim it may not have, and of nothing once it took it", async () => {
  const { sessionId, room } = await ready()
  await run("deliver", { sessionId })
  expect(named(sessionId, "pull")).toHaveLength(1)
  const promptId = await claim(sessionId)
  await run("deliver", { sessionId })
  await run("deliver", { sessionId })
  expect(named(sessionId, "run")).toMatchObject([
    { claim: { promptId, attempt: 1, generation: 1, text: "Fix the failing test" } },
    { claim: { promptId, attempt: 1 } },
  ])
  const attempt = { promptId: promptIdSchema.parse(promptId), attempt: 1 }
  await room.report({ type: "attempt.accepted", ...attempt })
  await run("deliver", { sessionId })
  expect(named(sessionId, "run")).toHaveLength(2)
})

test("[D14] a steer that its room may not have is told to it after its host", async () => {
  const { owner, sessionId, room } = await ready()
  const hostId = await claim(sessionId)
  const host = { promptId: promptIdSchema.parse(hostId), attempt: 1 }
  await room.report({ type: "attempt.accepted", ...host })
  const promptId = newPromptId()
  rooms.setReachable(false)
  await sendPrompt(owner, { sessionId, promptId, text: "Use tabs", mode: "steer" })
  rooms.setReachable(true)
  await run("deliver", { sessionId })
  expect(named(sessionId, "run")).toMatchObject([
    { claim: { promptId, attempt: 1, turnId: hostId, steers: host } },
  ])
  await room.report({ type: "attempt.accepted", promptId, attempt: 1 })
  await run("deliver", { sessionId })
  expect(named(sessionId, "run")).toHaveLength(1)
})

test("[D14] a steer that no room ever had goes back to the queue when its sandbox is fenced out", async () => {
  const { owner, sessionId, room } = await ready()
  const host = { promptId: promptIdSchema.parse(await claim(sessionId)), attempt: 1 }
  await room.report({ type: "attempt.accepted", ...host })
  const promptId = newPromptId()
  rooms.setReachable(false)
  await sendPrompt(owner, { sessionId, promptId, text: "Use tabs", mode: "steer" })
  rooms.setReachable(true)
  await db.sandbox.updateMany({ where: { sessionId }, data: { state: "stopping" } })
  await run("stop-sandbox", { sessionId, generation: 1 })
  expect(await db.prompt.findUnique({ where: { id: promptId } })).toMatchObject({ state: "queued" })
})

test("delivery waits for a room that cannot be reached, and for a sandbox that is not ready", async () => {
  const { sessionId } = await ready()
  rooms.setReachable(false)
  await expect(run("deliver", { sessionId })).rejects.toMatchObject({ name: "RoomUnreachable" })
  rooms.setReachable(true)
  await db.sandbox.updateMany({ where: { sessionId }, data: { state: "stopped" } })
  await run("deliver", { sessionId })
  expect(named(sessionId, "pull")).toHaveLength(0)
})

test("[D12] a stop that overtakes its claim hands the claim over, then stops it", async () => {
  const { sessionId } = await ready()
  const promptId = await claim(sessionId)
  const stop = { promptId, number: 1 }
  await run("stop-attempt", stop)
  expect(rooms.calls(sessionId).map(({ call }) => call)).toEqual(["fence", "stop", "run", "stop"])
  await run("stop-attempt", stop)
  expect(named(sessionId, "run")).toHaveLength(1)
})

test("a stop of an attempt that is over does nothing", async () => {
  const { sessionId, room } = await ready()
  const promptId = await claim(sessionId)
  await room.runs(promptId)
  await run("stop-attempt", { promptId, number: 1 })
  expect(named(sessionId, "stop")).toHaveLength(0)
})

test("status changes reach the timeline in order and once, and the newest the team's bus", async () => {
  const { owner, sessionId } = await ready()
  await run("announce-status", { sessionId })
  const [first] = named(sessionId, "status")
  if (first?.call !== "status") throw new Error("no status was announced")
  const statuses = first.changes.map(({ status }) => status)
  expect(statuses.slice(0, 2)).toEqual(["queued", "booting"])
  expect(first.changes.map(({ version }) => version)).toEqual(statuses.map((_, at) => at + 1))
  const onBus = rooms.busCalls.filter(
    (call) => call.call === "session" && call.sessionId === sessionId,
  )
  expect(onBus).toEqual([{ call: "session", sessionId, change: first.changes.at(-1) }])

  await run("announce-status", { sessionId })
  expect(named(sessionId, "status")).toHaveLength(1)
  await terminateSession(owner, { sessionId })
  await run("announce-status", { sessionId })
  const last = named(sessionId, "status").at(-1)
  expect(last).toMatchObject({ changes: [{ status: "ended" }] })
})

test("an ended session's room, machine and directory go, in whatever order the jobs run", async () => {
  for (const order of [
    ["end-session", "stop-sandbox"],
    ["stop-sandbox", "end-session"],
  ] as const) {
    const { owner, sessionId } = await ready()
    await terminateSession(owner, { sessionId })
    for (const name of order) expect(await jobs.runWaiting(name, sessionId)).toBe(1)
    expect(named(sessionId, "end")).toHaveLength(1)
    expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("gone")
    expect(
      ctx.provider.calls.filter((call) => call === `forget ${sessionId}`).length,
    ).toBeGreaterThan(0)
    expect(await db.sandbox.findFirst({ where: { sessionId } })).toMatchObject({ state: "stopped" })
  }
})

test("an ended session's room is fenced first, so that it may post its log even if no sandbox ever came", async () => {
  const owner = { ...ctx, actor: await createOwner(ctx) }
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  const { id: sessionId } = await createSession(owner, wish)
  await terminateSession(owner, { sessionId })
  await run("end-session", { sessionId })
  expect(rooms.calls(sessionId)).toMatchObject([
    { call: "fence", generation: 1 },
    { call: "end", reason: { reason: "session-ended" } },
  ])
})

test("[A2] a revocation closes sockets in one room, or on the team's bus", async () => {
  const { owner, sessionId } = await ready()
  const { teamId, userId } = owner.actor
  await run("revoke", { sessionId, teamId, subject: userId, grantId: "grt_1" })
  expect(named(sessionId, "revoke")).toMatchObject([{ subject: userId, grantId: "grt_1" }])
  await run("revoke", { sessionId: null, teamId, subject: userId, grantId: null })
  expect(rooms.busCalls.at(-1)).toEqual({ call: "revoke", subject: userId })
})

test("a job for a session that was deleted is done", async () => {
  const nobody = "ses_00000000nobody"
  for (const name of ["deliver", "announce-status", "end-session"] as const) {
    await run(name, { sessionId: nobody })
  }
  for (const name of [
    "start-sandbox",
    "stop-sandbox",
    "check-sandbox",
    "sandbox-deadline",
  ] as const) {
    await run(name, { sessionId: nobody, generation: 1 })
  }
})

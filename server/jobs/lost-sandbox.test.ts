import { afterAll, expect, test } from "vitest"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import { claimForRoom } from "../domain/dispatch/index.ts"
import { retryPrompt, sendPrompt, stopPrompt } from "../domain/prompts/index.ts"
import { createSession, wakeSession } from "../domain/sessions/index.ts"
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

/** A session whose first prompt is claimed on a ready sandbox, with its room playing along. */
async function working() {
  const owner = { ...ctx, actor: await createOwner(ctx) }
  const wish = { repoUrl: "file:///srv/git/project", prompt: "Fix the failing test" }
  const { id } = await createSession(owner, wish)
  const sessionId = sessionIdSchema.parse(id)
  const room = new TestRoom(ctx, { id })
  await run("start-sandbox", { sessionId, generation: 1 })
  await room.ready()
  const claimed = await claimForRoom(ctx, { post: "claim-next", sessionId, generation: 1 })
  if (claimed.kind === "stale" || !claimed.claim) throw new Error("nothing was claimed")
  const { promptId } = claimed.claim
  return { owner, sessionId, room, promptId, ref: { sessionId, generation: 1 } }
}

type Working = Awaited<ReturnType<typeof working>>

const queueAnother = ({ owner, sessionId }: Working) =>
  sendPrompt(owner, { sessionId, promptId: newPromptId(), text: "And then?", mode: "queue" })

const lose = (sessionId: string, generation = 1) =>
  ctx.provider.lose(sandboxId(sessionId, generation))

const sandboxOf = (sessionId: string, generation = 1) =>
  db.sandbox.findUnique({ where: { sessionId_generation: { sessionId, generation } } })

const sessionOf = (id: string) => db.session.findUniqueOrThrow({ where: { id } })
const attemptOf = (promptId: string) => db.attempt.findFirstOrThrow({ where: { promptId } })
const fences = (sessionId: string) =>
  rooms.calls(sessionId).flatMap((call) => (call.call === "fence" ? [call.generation] : []))

/** What the room was told last of why a sandbox went. */
const lastReason = (sessionId: string) =>
  rooms
    .calls(sessionId)
    .flatMap((call) => (call.call === "fence" ? [call.reason] : []))
    .at(-1)

test("a machine that is gone is given up, what ran on it is fenced off, and a person is told", async () => {
  const { sessionId, ref } = await working()
  await run("deliver", { sessionId })
  lose(sessionId)
  await run("check-sandbox", ref)
  expect(await sandboxOf(sessionId)).toMatchObject({
    state: "stopping",
    error: { reason: "sandbox-lost" },
  })
  const session = await sessionOf(sessionId)
  expect(session.status).toBe("failed")
  expect(session.statusReason).toMatch(/stopped unexpectedly.*Wake the session/)
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(fences(sessionId)).toEqual([1, 2])
  expect(lastReason(sessionId)).toEqual({
    reason: "sandbox-lost",
    message: "The sandbox's machine stopped unexpectedly. What came is kept, retry or go on.",
  })
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "stopped", link: "absent" })
  expect(await sandboxOf(sessionId, 2)).toBeNull()
})

test("a machine that was stopped with the platform is no loss: the session sleeps and says why", async () => {
  const { sessionId, ref } = await working()
  await run("deliver", { sessionId })
  ctx.provider.stop(sandboxId(sessionId, 1))
  await run("check-sandbox", ref)
  expect(await sessionOf(sessionId)).toMatchObject({
    status: "sleeping",
    statusReason:
      "The platform was stopped, and the sandbox with it. The next prompt wakes the session.",
  })
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(lastReason(sessionId)).toEqual({
    reason: "platform-stopped",
    message:
      "The platform was stopped, and the sandbox with it. What came is kept, retry or go on.",
  })
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("gone")
})

test("however often the platform is stopped, prompts that wait get their next sandbox", async () => {
  const session = await working()
  const { sessionId } = session
  await queueAnother(session)
  for (const generation of [1, 2, 3, 4]) {
    if (generation > 1) await run("start-sandbox", { sessionId, generation })
    ctx.provider.stop(sandboxId(sessionId, generation))
    await run("check-sandbox", { sessionId, generation })
  }
  expect(await sandboxOf(sessionId, 5)).toMatchObject({ state: "requested" })
  // The next sandbox may start before the one that went has been cleared away.
  expect(fences(sessionId).at(-1)).toBe(4)
  expect(lastReason(sessionId)).toMatchObject({ reason: "platform-stopped" })
})

test("while prompts wait the next sandbox is asked for, up to three losses in a row", async () => {
  const session = await working()
  const { sessionId, room, promptId } = session
  await room.runs(promptId)
  await queueAnother(session)
  await db.attempt.deleteMany({ where: { sessionId } })
  await db.prompt.updateMany({ where: { sessionId }, data: { state: "queued", endedAt: null } })
  for (const generation of [1, 2, 3]) {
    if (generation > 1) await run("start-sandbox", { sessionId, generation })
    lose(sessionId, generation)
    await run("check-sandbox", { sessionId, generation, isGone: true })
    expect(await sandboxOf(sessionId, generation)).toMatchObject({ state: "stopping" })
  }
  expect(await sandboxOf(sessionId, 3)).not.toBeNull()
  expect(await sandboxOf(sessionId, 4)).toBeNull()
  expect((await sessionOf(sessionId)).status).toBe("failed")
})

test("losses between which prompts were carried out do not add up", async () => {
  const session = await working()
  const { sessionId, promptId } = session
  await queueAnother(session)
  for (const generation of [1, 2, 3]) {
    if (generation > 1) await run("start-sandbox", { sessionId, generation })
    const done = { state: "succeeded", generation, endedAt: ctx.now() } as const
    await db.attempt.updateMany({ where: { promptId }, data: done })
    lose(sessionId, generation)
    await run("check-sandbox", { sessionId, generation, isGone: true })
  }
  expect(await sandboxOf(sessionId, 4)).toMatchObject({ state: "requested" })
})

test("[D9] the next sandbox's fence ends what ran on the lost one; the room's own end is waited for", async () => {
  const session = await working()
  const { sessionId, ref, promptId } = session
  await run("deliver", { sessionId })
  await queueAnother(session)
  lose(sessionId)
  await run("check-sandbox", ref)
  await run("start-sandbox", { sessionId, generation: 2 })
  expect(fences(sessionId)).toEqual([1, 2])
  expect(await attemptOf(promptId)).toMatchObject({ state: "dispatched" })
})

test("a claim that its room never had goes back to the queue when it is fenced off", async () => {
  const session = await working()
  const { sessionId, ref, promptId } = session
  lose(sessionId)
  await run("check-sandbox", ref)
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(await attemptOf(promptId)).toMatchObject({ state: "interrupted" })
  const prompt = await db.prompt.findUniqueOrThrow({ where: { id: promptId } })
  expect(prompt).toMatchObject({ state: "queued", endedAt: null })
})

test("[D13] a prompt whose claims never reach a room is tried three times, then ends with a reason until it is retried", async () => {
  const { owner, sessionId, promptId, room } = await working()
  const prompt = () => db.prompt.findUniqueOrThrow({ where: { id: promptId } })
  const loseClaimed = async (generation: number) => {
    lose(sessionId, generation)
    await run("check-sandbox", { sessionId, generation })
    await jobs.runWaiting("stop-sandbox", sessionId)
  }
  const claimAgain = async (generation: number) => {
    await wakeSession(owner, { sessionId })
    await run("start-sandbox", { sessionId, generation })
    room.generation = generation
    await room.ready()
    const claimed = await claimForRoom(ctx, { post: "claim-next", sessionId, generation })
    expect(claimed).toMatchObject({ kind: "claim", claim: { promptId, attempt: generation } })
  }
  await loseClaimed(1)
  await claimAgain(2)
  await loseClaimed(2)
  expect(await prompt()).toMatchObject({ state: "queued" })
  await claimAgain(3)
  await loseClaimed(3)
  expect(await prompt()).toMatchObject({
    state: "interrupted",
    error: { reason: "prompt-undelivered" },
  })

  await retryPrompt(owner, { promptId: promptIdSchema.parse(promptId) })
  await claimAgain(4)
  await loseClaimed(4)
  expect(await prompt()).toMatchObject({ state: "queued", endedAt: null })
})

test("[D12] a claim that its room never had and that was asked to stop ends stopped", async () => {
  const { owner, sessionId, ref, promptId } = await working()
  rooms.setReachable(false)
  await stopPrompt(owner, { promptId: promptIdSchema.parse(promptId) })
  rooms.setReachable(true)
  lose(sessionId)
  await run("check-sandbox", ref)
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(await attemptOf(promptId)).toMatchObject({ state: "stopped" })
  expect(await db.prompt.findUniqueOrThrow({ where: { id: promptId } })).toMatchObject({
    state: "stopped",
  })
})

test("a room that cannot be reached does not keep the machine running; the fence comes later", async () => {
  const { sessionId, ref } = await working()
  await run("deliver", { sessionId })
  lose(sessionId)
  await run("check-sandbox", ref)
  rooms.setReachable(false)
  await expect(run("stop-sandbox", ref)).rejects.toMatchObject({ name: "RoomUnreachable" })
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "stopped" })
  rooms.setReachable(true)
  await run("stop-sandbox", ref)
  expect(fences(sessionId)).toEqual([1, 2])
})

test("a lost runner is waited for while its machine runs, then its sandbox counts as lost", async () => {
  const { sessionId, ref, room } = await working()
  await room.report({ type: "runner.link", generation: 1, state: "lost" })
  expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(1)
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "ready" })
  expect((await sessionOf(sessionId)).statusReason).toContain("Lost contact")
  ctx.clock.advance(ctx.sandboxes.runnerGraceMs)
  await run("check-sandbox", ref)
  expect(await sandboxOf(sessionId)).toMatchObject({ error: { reason: "runner-silent" } })
})

test("[D8] an attempt that a silent runner never accepted ends interrupted by a fence, and is told to nobody else", async () => {
  const { sessionId, ref, room, promptId } = await working()
  const runs = () => rooms.calls(sessionId).filter(({ call }) => call === "run").length
  await run("deliver", { sessionId })
  await room.report({ type: "runner.link", generation: 1, state: "lost" })
  ctx.clock.advance(ctx.sandboxes.runnerGraceMs)
  await run("check-sandbox", ref)
  await jobs.runWaiting("stop-sandbox", sessionId)
  expect(fences(sessionId)).toEqual([1, 2])
  expect(await attemptOf(promptId)).toMatchObject({ state: "dispatched", acceptedAt: null })

  // What the fenced room posts: it ended what it had.
  room.generation = 2
  const error = { reason: "runner-silent", message: "The sandbox was not heard of." }
  const ref1 = { promptId: promptIdSchema.parse(promptId), attempt: 1 }
  await room.report({ type: "attempt.ended", ...ref1, state: "interrupted", error })
  expect(await attemptOf(promptId)).toMatchObject({ state: "interrupted", number: 1 })
  await run("deliver", { sessionId })
  expect(runs()).toBe(1)
})

test("a runner that came back is left in peace", async () => {
  const { sessionId, room, ref } = await working()
  await room.report({ type: "runner.link", generation: 1, state: "lost" })
  await jobs.runWaiting("check-sandbox", sessionId)
  await room.report({ type: "runner.link", generation: 1, state: "connected" })
  await jobs.runWaiting("check-sandbox", sessionId)
  expect(await jobs.runWaiting("check-sandbox", sessionId)).toBe(0)
  ctx.clock.advance(ctx.sandboxes.runnerGraceMs * 2)
  await run("check-sandbox", ref)
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "ready" })
})

test("a job for a live sandbox's end, or for one that was replaced, does nothing", async () => {
  const { sessionId, ref } = await working()
  await run("stop-sandbox", ref)
  expect(await ctx.provider.status(sandboxId(sessionId, 1))).toBe("running")
  await run("check-sandbox", { sessionId, generation: 7 })
  await run("stop-sandbox", { sessionId, generation: 7 })
  expect(await sandboxOf(sessionId)).toMatchObject({ state: "ready" })
})

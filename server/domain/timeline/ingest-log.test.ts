import { expect, test } from "vitest"
import { sessionIdSchema } from "#protocol/ids"
import {
  createContext,
  idleSession,
  newPromptId,
  newSession,
  TestRoom,
} from "../../testing/factories.ts"
import { queuedJobs } from "../../testing/queued-jobs.ts"
import { freshSystem } from "../../testing/system.ts"
import { claimForRoom } from "../dispatch/index.ts"
import { retryPrompt, sendPrompt } from "../prompts/index.ts"
import { getSandbox } from "../sandboxes/index.ts"
import { getSession } from "../sessions/index.ts"

const system = await freshSystem()

const text = (key: string, body: string) => ({
  entry: { key, turnId: null, kind: "text", text: body, done: false } as const,
})

async function newRoom() {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  return { ctx, sessionId: session.id, room: new TestRoom(ctx, session) }
}

/** A session with one prompt that was claimed for attempt 1. */
async function claimed() {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const promptId = newPromptId()
  await sendPrompt(ctx, { sessionId: session.id, promptId, text: "Go on", mode: "queue" })
  const ref = { promptId, attempt: 1 }
  const states = async () => {
    const prompt = await ctx.db.prompt.findUniqueOrThrow({
      where: { id: promptId },
      include: { attempts: true },
    })
    return [prompt.state, prompt.attempts[0]?.state]
  }
  return { ctx, sessionId: session.id, room, promptId, ref, states }
}

test("[E5] the newest version of a key is stored, it keeps its firstSeq, and the place advances", async () => {
  const { ctx, sessionId, room } = await newRoom()
  expect(await room.post(text("a", "1"), text("b", "1"))).toEqual({
    kind: "ingested",
    ingestedSeq: 2,
  })
  await room.post(text("a", "2"), text("a", "3"))
  const entries = await ctx.db.entry.findMany({
    where: { sessionId },
    orderBy: { firstSeq: "asc" },
  })
  expect(entries).toMatchObject([
    { key: "a", seq: 4, firstSeq: 1, kind: "text", turnId: null, body: { text: "3", done: false } },
    { key: "b", seq: 2, firstSeq: 2 },
  ])
  expect(await ctx.db.session.findUnique({ where: { id: sessionId } })).toMatchObject({
    ingestedSeq: 4,
    epoch: BigInt(room.epoch),
  })
})

test("[E5] a repeated or overlapping piece changes nothing that is newer, and counts nothing twice", async () => {
  const { ctx, sessionId, room } = await newRoom()
  const at = ctx.now().toISOString()
  const item = (seq: number, firstSeq: number, body: string) => ({
    seq,
    entry: { ...text("a", body).entry, seq, firstSeq, at },
  })
  const usage = {
    seq: 2,
    report: {
      type: "model.usage",
      callId: `call_${newPromptId()}`,
      model: "scripted/demo",
      inputTokens: 1_000_000,
      outputTokens: 0,
      cachedInputTokens: 0,
    },
  } as const
  await room.send(0, [item(1, 1, "old"), usage, item(3, 1, "new")], 3)
  expect(await room.send(0, [item(1, 1, "old"), usage], 2)).toEqual({
    kind: "ingested",
    ingestedSeq: 3,
  })
  expect(await room.send(1, [usage, item(4, 1, "newest")], 4)).toEqual({
    kind: "ingested",
    ingestedSeq: 4,
  })
  const [entry] = await ctx.db.entry.findMany({ where: { sessionId } })
  expect(entry).toMatchObject({ seq: 4, firstSeq: 1, body: { text: "newest" } })
  expect(await getSession(ctx, { sessionId })).toMatchObject({ costMicros: 1_000_000 })
})

test("[E5] a piece after a gap is not taken: the answer says from where", async () => {
  const { ctx, sessionId, room } = await newRoom()
  await room.post(text("a", "1"))
  room.seq = 5
  expect(await room.post(text("b", "1"))).toEqual({ kind: "ingested", ingestedSeq: 1 })
  expect(await ctx.db.entry.count({ where: { sessionId } })).toBe(1)
})

test("[E5] a room of an older generation or epoch is stale, and nothing of its piece is taken", async () => {
  const { ctx, sessionId, room } = await newRoom()
  await room.post(text("a", "1"))
  room.epoch -= 1
  expect(await room.post(text("a", "2"))).toMatchObject({ kind: "stale", epoch: room.epoch + 1 })
  room.epoch += 1
  await ctx.db.session.update({ where: { id: sessionId }, data: { generation: 2 } })
  expect(await room.send(1, [], 2)).toMatchObject({ kind: "stale", generation: 2 })
  expect(await ctx.db.entry.findFirst({ where: { sessionId } })).toMatchObject({ seq: 1 })
})

test("[E5] a fresh room goes on where PostgreSQL stands, one that starts over is stale", async () => {
  const { ctx, sessionId, room } = await newRoom()
  await room.post(text("a", "1"), text("b", "1"))
  room.epoch += 1_000
  expect(await room.send(0, [], 1)).toMatchObject({ kind: "stale" })
  expect(await room.post(text("c", "1"))).toEqual({ kind: "ingested", ingestedSeq: 3 })
  expect(await ctx.db.session.findUnique({ where: { id: sessionId } })).toMatchObject({
    epoch: BigInt(room.epoch),
  })
})

test("a piece for a session that does not exist is not found", async () => {
  const ctx = await createContext(system)
  const room = new TestRoom(ctx, { id: sessionIdSchema.parse("ses_0000000000") })
  await expect(room.post(text("a", "1"))).rejects.toMatchObject({ reason: "session-not-found" })
})

test("an attempt goes from dispatched to running to its end, and its prompt with it", async () => {
  const { ctx, sessionId, room, promptId, ref, states } = await claimed()
  await room.report({ type: "attempt.accepted", ...ref })
  expect(await states()).toEqual(["dispatched", "dispatched"])
  await room.report({ type: "attempt.running", ...ref })
  expect(await states()).toEqual(["running", "running"])
  ctx.clock.advance(1_000)
  const error = { reason: "model-failed", message: "The model failed." }
  await room.report({ type: "attempt.ended", ...ref, state: "failed", error })
  expect(await states()).toEqual(["failed", "failed"])
  expect(await ctx.db.prompt.findUnique({ where: { id: promptId } })).toMatchObject({
    error,
    endedAt: ctx.now(),
  })
  expect(await getSession(ctx, { sessionId })).toMatchObject({ status: "idle" })
})

test("[D9] the first terminal state of an attempt wins, whatever comes later", async () => {
  const { room, ref, states } = await claimed()
  await room.report({ type: "attempt.ended", ...ref, state: "interrupted", error: null })
  await room.report(
    { type: "attempt.running", ...ref },
    { type: "attempt.ended", ...ref, state: "succeeded", error: null },
  )
  expect(await states()).toEqual(["interrupted", "interrupted"])
})

test("[D9] a late report of an older attempt does not touch the retried prompt", async () => {
  const { ctx, room, promptId, ref } = await claimed()
  await room.report({ type: "attempt.ended", ...ref, state: "interrupted", error: null })
  await retryPrompt(ctx, { promptId })
  await room.report({ type: "attempt.ended", ...ref, state: "succeeded", error: null })
  expect(await ctx.db.prompt.findUnique({ where: { id: promptId } })).toMatchObject({
    state: "dispatched",
    attempt: 2,
  })
})

test("boot phases show as status and sandbox, then ready hands out the first prompt", async () => {
  const { ctx, sessionId, room } = await newRoom()
  await ctx.db.sandbox.updateMany({ where: { sessionId }, data: { state: "starting" } })
  const phase = {
    type: "boot.phase",
    generation: 1,
    durationMs: 0,
    detail: "",
    error: null,
  } as const
  await room.report({ ...phase, phase: "clone", state: "running" })
  expect(await getSession(ctx, { sessionId })).toMatchObject({
    status: "booting",
    statusReason: "Clones the repository.",
  })
  await room.report({ ...phase, phase: "clone", state: "done", durationMs: 900 })
  await room.ready()
  expect(await getSandbox(ctx, { sessionId })).toMatchObject({
    state: "ready",
    link: "connected",
    phases: [{ phase: "clone", state: "done", durationMs: 900 }],
    readyAt: ctx.now().toISOString(),
  })
  expect(await getSession(ctx, { sessionId })).toMatchObject({
    branch: "main",
    baseCommit: "c0ffee",
    status: "working",
  })
  expect((await queuedJobs(ctx.db, sessionId)).map(({ name }) => name)).toContain("deliver")
  const claim = await claimForRoom(ctx, {
    post: "claim-next",
    sessionId: sessionIdSchema.parse(sessionId),
    generation: 1,
  })
  expect(claim).toMatchObject({ claim: { attempt: 1 } })
})

test("a failed boot gives the sandbox up, says why, and keeps the prompt", async () => {
  const { ctx, sessionId, room } = await newRoom()
  const error = { reason: "clone-denied", message: "The repository refused access." }
  const failed = {
    type: "boot.phase",
    generation: 1,
    phase: "clone",
    state: "failed",
    durationMs: 5,
    detail: "fatal: 403",
    error,
  } as const
  await room.report(failed)
  expect(await getSandbox(ctx, { sessionId })).toMatchObject({ state: "stopping", error })
  expect(await getSession(ctx, { sessionId })).toMatchObject({
    status: "failed",
    statusReason: expect.stringContaining(error.message),
  })
  const jobs = (await queuedJobs(ctx.db, sessionId)).map(({ name }) => name)
  expect(jobs).toContain("stop-sandbox")
  await room.ready()
  expect(await getSandbox(ctx, { sessionId })).toMatchObject({ state: "stopping" })
  expect(await ctx.db.prompt.count({ where: { sessionId, state: "queued" } })).toBe(1)
})

test("a lost runner is said at once and looked at a little later; its return is said too", async () => {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const link = { type: "runner.link", generation: 1 } as const
  await room.report({ ...link, state: "lost" })
  expect(await getSession(ctx, { sessionId: session.id })).toMatchObject({
    statusReason: expect.stringContaining("Lost contact"),
  })
  const check = (await queuedJobs(ctx.db, session.id)).find(({ name }) => name === "check-sandbox")
  expect(check?.runAt).toEqual(new Date(ctx.now().getTime() + 10_000))
  await room.report({ ...link, state: "connected" })
  expect(await getSession(ctx, { sessionId: session.id })).toMatchObject({
    status: "idle",
    statusReason: "Waits for the next prompt.",
  })
})

test("status versions are gapless, each with its row, and a job announces them", async () => {
  const { ctx, sessionId, room } = await newRoom()
  await room.ready()
  const { statusVersion } = await ctx.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  const changes = await ctx.db.statusChange.findMany({
    where: { sessionId },
    orderBy: { version: "asc" },
  })
  expect(changes.map(({ version }) => version)).toEqual(
    Array.from({ length: statusVersion }, (_, i) => i + 1),
  )
  expect(
    (await queuedJobs(ctx.db, sessionId)).filter(({ name }) => name === "announce-status"),
  ).toHaveLength(1)
})

test("[E5] an item that PostgreSQL cannot hold is left out and said, and all around it is stored", async () => {
  const { ctx, sessionId, room } = await newRoom()
  const usage = { model: "compatible/odd", outputTokens: 1, cachedInputTokens: 0 }
  const odd = {
    type: "model.usage",
    callId: "call_odd",
    inputTokens: 3_000_000_000,
    ...usage,
  } as const
  const even = { type: "model.usage", callId: "call_even", inputTokens: 3, ...usage } as const
  const posted = await room.post(text("a", "1"), { report: odd }, { report: even }, text("b", "1"))

  expect(posted).toEqual({ kind: "ingested", ingestedSeq: 4 })
  expect(await ctx.db.entry.count({ where: { sessionId } })).toBe(2)
  const kept = await ctx.db.usage.findMany({ where: { sessionId } })
  expect(kept.map(({ callId }) => callId)).toEqual(["call_even"])
  expect(await room.post(text("c", "1"))).toEqual({ kind: "ingested", ingestedSeq: 5 })
})

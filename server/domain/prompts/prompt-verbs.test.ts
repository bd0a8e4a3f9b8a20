import { expect, test } from "vitest"
import { sessionIdSchema } from "#protocol/ids"
import { actingAs, type TestContext } from "../../testing/context.ts"
import { createContext, createMember, idleSession, newPromptId } from "../../testing/factories.ts"
import { jobNames } from "../../testing/queued-jobs.ts"
import { freshSystem } from "../../testing/system.ts"
import { claimForRoom } from "../dispatch/index.ts"
import { getSession } from "../sessions/index.ts"
import {
  editPrompt,
  listPrompts,
  promotePrompt,
  retryPrompt,
  sendPrompt,
  stopPrompt,
  withdrawPrompt,
} from "./index.ts"

const system = await freshSystem()

/** A session with one running prompt and two that wait. */
async function busySession() {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const sessionId = sessionIdSchema.parse(session.id)
  const ids = [newPromptId(), newPromptId(), newPromptId()] as const
  for (const promptId of ids) {
    await sendPrompt(ctx, { sessionId, promptId, text: "Go on", mode: "queue" })
    ctx.clock.advance(1)
  }
  const [running, second, third] = ids
  return { ctx, sessionId, room, running, second, third }
}

test("a queued prompt is withdrawn, a repeat changes nothing", async () => {
  const { ctx, second } = await busySession()
  const withdrawn = await withdrawPrompt(ctx, { promptId: second })
  expect(withdrawn).toMatchObject({ state: "withdrawn", endedAt: ctx.now().toISOString() })
  expect(await withdrawPrompt(ctx, { promptId: second })).toEqual(withdrawn)
  await expect(editPrompt(ctx, { promptId: second, text: "x" })).rejects.toMatchObject({
    reason: "prompt-withdrawn",
  })
})

test("a queued prompt is edited, and its first body still answers it", async () => {
  const { ctx, second, sessionId } = await busySession()
  expect(await editPrompt(ctx, { promptId: second, text: "New" })).toMatchObject({ text: "New" })
  const again = { sessionId, promptId: second, text: "Go on", mode: "queue" } as const
  expect(await sendPrompt(ctx, again)).toMatchObject({ text: "New" })
  await expect(editPrompt(ctx, { promptId: second, text: "" })).rejects.toMatchObject({
    reason: "prompt-empty",
  })
})

test("a prompt is found by its id, and a session that is named has to be its own", async () => {
  const { ctx, sessionId, running, second } = await busySession()
  const { session } = await idleSession(ctx)
  const other = { promptId: second, sessionId: session.id }
  for (const verb of [withdrawPrompt, promotePrompt, retryPrompt, stopPrompt]) {
    await expect(verb(ctx, other)).rejects.toMatchObject({ reason: "prompt-not-found" })
  }
  await expect(editPrompt(ctx, { ...other, text: "x" })).rejects.toMatchObject({
    reason: "prompt-not-found",
  })
  expect(await editPrompt(ctx, { promptId: second, sessionId, text: "x" })).toMatchObject({
    text: "x",
  })
  expect(await stopPrompt(ctx, { promptId: running, sessionId })).toMatchObject({ id: running })
})

test("a promoted prompt is the next one claimed", async () => {
  const { ctx, sessionId, room, running, third } = await busySession()
  await promotePrompt(ctx, { promptId: third })
  await room.runs(running)
  const answer = await claimForRoom(ctx, { post: "claim-next", sessionId, generation: 1 })
  expect(answer).toMatchObject({ claim: { promptId: third } })
})

test("[D11] after the claim, withdraw, edit and promote answer CONFLICT already-dispatched", async () => {
  const { ctx, running } = await busySession()
  const promptId = running
  for (const late of [
    () => withdrawPrompt(ctx, { promptId }),
    () => editPrompt(ctx, { promptId, text: "x" }),
    () => promotePrompt(ctx, { promptId }),
  ]) {
    await expect(late()).rejects.toMatchObject({ code: "CONFLICT", reason: "already-dispatched" })
  }
})

test("[D11] of a claim and a withdrawal at once exactly one happens", async () => {
  const { ctx, sessionId, room, running, second, third } = await busySession()
  await withdrawPrompt(ctx, { promptId: third })
  await room.runs(running)
  const [claim, withdrawal] = await Promise.allSettled([
    claimForRoom(ctx, { post: "claim-next", sessionId, generation: 1 }),
    withdrawPrompt(ctx, { promptId: second }),
  ])
  const claimed = claim.status === "fulfilled" && "claim" in claim.value && claim.value.claim
  expect(Boolean(claimed)).toBe(withdrawal.status === "rejected")
})

test("[D12] a stop is asked of the room once and kept for the job; the status says so", async () => {
  const { ctx, sessionId, running } = await busySession()
  await stopPrompt(ctx, { promptId: running })
  await stopPrompt(ctx, { promptId: running })
  expect(ctx.rooms.named("stop").filter(({ sessionId: id }) => id === sessionId)).toMatchObject([
    { promptId: running, attempt: 1 },
    { promptId: running, attempt: 1 },
  ])
  expect(await jobNames(ctx.db, running)).toEqual(["stop-attempt"])
  expect(await getSession(ctx, { sessionId })).toMatchObject({
    statusReason: expect.stringContaining("Stops"),
  })
})

test("[D12] a stop after the end does nothing; one before the claim points to withdraw", async () => {
  const { ctx, room, running, second } = await busySession()
  await room.runs(running)
  const calls = ctx.rooms.named("stop").length
  expect(await stopPrompt(ctx, { promptId: running })).toMatchObject({ state: "succeeded" })
  expect(ctx.rooms.named("stop")).toHaveLength(calls)
  await expect(stopPrompt(ctx, { promptId: second })).rejects.toMatchObject({
    reason: "not-dispatched",
  })
})

test("[D13] a retry is a new attempt at the head of the queue", async () => {
  const { ctx, sessionId, room, running } = await busySession()
  await room.runs(running, 1, "interrupted")
  expect(await retryPrompt(ctx, { promptId: running })).toMatchObject({
    state: "dispatched",
    attempt: 2,
    error: null,
    endedAt: null,
  })
  expect(await retryPrompt(ctx, { promptId: running })).toMatchObject({ attempt: 2 })
  const answer = await claimForRoom(ctx, { post: "claim-next", sessionId, generation: 1 })
  expect(answer).toMatchObject({ claim: { promptId: running, attempt: 2 } })
  await room.runs(running, 2)
  await expect(retryPrompt(ctx, { promptId: running })).rejects.toMatchObject({
    reason: "prompt-not-retryable",
  })
})

test("prompts are listed newest first, page by page", async () => {
  const { ctx, sessionId, running, second, third } = await busySession()
  const first = await listPrompts(ctx, { sessionId, limit: 2 })
  expect(first.items.map(({ id }) => id)).toEqual([third, second])
  const rest = await listPrompts(ctx, { sessionId, limit: 2, cursor: first.nextCursor ?? "" })
  expect(rest.items.map(({ id }) => id)).toContain(running)
})

const verbs: [string, (ctx: TestContext, promptId: string) => Promise<unknown>][] = [
  ["withdrawPrompt", (ctx, promptId) => withdrawPrompt(ctx, { promptId })],
  ["editPrompt", (ctx, promptId) => editPrompt(ctx, { promptId: promptId, text: "x" })],
  ["promotePrompt", (ctx, promptId) => promotePrompt(ctx, { promptId })],
  ["retryPrompt", (ctx, promptId) => retryPrompt(ctx, { promptId })],
  ["stopPrompt", (ctx, promptId) => stopPrompt(ctx, { promptId })],
]

test.each(verbs)("%s does not find a neighbour's prompt", async (_name, verb) => {
  const { second } = await busySession()
  await expect(verb(await createContext(system), second)).rejects.toMatchObject({
    code: "NOT_FOUND",
    reason: "prompt-not-found",
  })
})

test.each(verbs)("%s refuses a read-only actor", async (_name, verb) => {
  const { ctx, second } = await busySession()
  const viewer = await createMember(system, ctx.actor.teamId, { role: "viewer" })
  await expect(verb(actingAs(system, viewer), second)).rejects.toMatchObject({ code: "FORBIDDEN" })
})

import { expect, test } from "vitest"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import { createContext, idleSession, newPromptId } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { claimForRoom } from "../dispatch/index.ts"
import { getSession, terminateSession } from "../sessions/index.ts"
import { listPrompts, sendPrompt, stopPrompt } from "./index.ts"

const system = await freshSystem()

/** A session whose prompt `host` is accepted and runs. */
async function runningHost() {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const sessionId = sessionIdSchema.parse(session.id)
  const send = async (mode: "queue" | "steer", text: string = mode) => {
    ctx.clock.advance(1)
    return sendPrompt(ctx, { sessionId, promptId: newPromptId(), text, mode })
  }
  const host = await send("queue", "host")
  const hostRef = refOf(host.id)
  const next = async () => {
    const answer = await claimForRoom(ctx, { post: "claim-next", sessionId, generation: 1 })
    return answer.kind === "claim" ? answer.claim : null
  }
  const stateOf = async (id: string) => {
    const { items } = await listPrompts(ctx, { sessionId, limit: 50 })
    return items.find((prompt) => prompt.id === id)?.state
  }
  const reason = async () => (await getSession(ctx, { sessionId })).statusReason
  await room.report({ type: "attempt.accepted", ...hostRef })
  await room.report({ type: "attempt.running", ...hostRef })
  return { ctx, sessionId, room, host, hostRef, send, next, stateOf, reason }
}

const refOf = (id: string, attempt = 1) => ({ promptId: promptIdSchema.parse(id), attempt })

test("[D14] a steer is claimed for its host's turn, and its room is told at once", async () => {
  const { ctx, sessionId, host, send, reason } = await runningHost()
  const steer = await send("steer", "Use tabs")
  expect(steer).toMatchObject({ state: "dispatched", mode: "steer", attempt: 1 })
  expect(ctx.rooms.named("run").at(-1)).toMatchObject({
    sessionId,
    claim: {
      promptId: steer.id,
      attempt: 1,
      generation: 1,
      text: "Use tabs",
      turnId: host.id,
      steers: { promptId: host.id, attempt: 1 },
    },
  })
  expect(await reason()).toContain("joins")
})

test("[D2][D14] steers live beside their host, and the claim stays the host's", async () => {
  const { ctx, sessionId, host, send, next } = await runningHost()
  await send("steer")
  await send("steer")
  expect(await next()).toMatchObject({ promptId: host.id })
  const live = { sessionId, state: { in: ["dispatched" as const, "running" as const] } }
  expect(await ctx.db.attempt.count({ where: live })).toBe(3)
})

test("[D14] a steer that was taken runs and ends like any attempt", async () => {
  const { room, hostRef, send, stateOf, reason } = await runningHost()
  const { id } = await send("steer")
  await room.report({ type: "attempt.accepted", ...refOf(id) })
  expect(await stateOf(id)).toBe("dispatched")
  await room.report({ type: "attempt.running", ...refOf(id) })
  expect(await stateOf(id)).toBe("running")
  expect(await reason()).toBe("Works on a prompt.")
  await room.report(
    { type: "attempt.ended", ...refOf(id), state: "succeeded", error: null },
    { type: "attempt.ended", ...hostRef, state: "succeeded", error: null },
  )
  expect(await stateOf(id)).toBe("succeeded")
})

test("[D14] returned steers are the next ones claimed, in the order in which they were sent", async () => {
  const { ctx, room, hostRef, send, next, stateOf } = await runningHost()
  const waiting = await send("queue")
  const [first, second] = [await send("steer"), await send("steer")]
  await room.report(
    { type: "attempt.returned", ...refOf(second.id) },
    { type: "attempt.returned", ...refOf(first.id) },
    { type: "attempt.returned", ...refOf(first.id) },
    { type: "attempt.ended", ...hostRef, state: "succeeded", error: null },
  )
  expect(await stateOf(first.id)).toBe("queued")
  for (const [id, attempt] of [
    [first.id, 2],
    [second.id, 2],
    [waiting.id, 1],
  ] as const) {
    expect(await next()).toMatchObject({ promptId: id, attempt, turnId: id })
    expect((await next())?.steers).toBeUndefined()
    await room.runs(id, attempt)
  }
  expect(await ctx.db.attempt.findMany({ where: { promptId: first.id } })).toMatchObject([
    { number: 1, steer: true, state: "interrupted", error: { reason: "steer-returned" } },
    { number: 2, steer: false, state: "succeeded" },
  ])
})

test("[D9][D14] what is returned after its end changes nothing", async () => {
  const { room, send, stateOf } = await runningHost()
  const { id } = await send("steer")
  await room.report({ type: "attempt.ended", ...refOf(id), state: "stopped", error: null })
  await room.report({ type: "attempt.returned", ...refOf(id) })
  expect(await stateOf(id)).toBe("stopped")
})

test("[D14] a steer that its room never heard of before the host ended is told to it before the queue goes on", async () => {
  const { ctx, sessionId, room, hostRef, send, next, reason } = await runningHost()
  ctx.rooms.answer = () => ({ ok: false, error: { reason: "room-unreachable", message: "" } })
  const steer = await send("steer")
  const waiting = await send("queue")
  ctx.rooms.answer = () => ({ ok: true })
  await room.report({ type: "attempt.ended", ...hostRef, state: "succeeded", error: null })
  expect(await getSession(ctx, { sessionId })).toMatchObject({ status: "working" })
  expect(await reason()).toBe("Takes up the next prompt.")

  expect(await next()).toMatchObject({ promptId: steer.id, attempt: 1, steers: hostRef })
  await room.report({ type: "attempt.returned", ...refOf(steer.id) })
  expect(await next()).toMatchObject({ promptId: steer.id, attempt: 2 })
  await room.runs(steer.id, 2)
  expect(await next()).toMatchObject({ promptId: waiting.id })
})

test("[D14] a steer of a host that is being stopped waits at the head of the queue", async () => {
  const { ctx, host, send } = await runningHost()
  await stopPrompt(ctx, { promptId: host.id })
  expect(await send("steer")).toMatchObject({ state: "queued", attempt: 0 })
})

test("[D14] a steer of a sandbox that was given up waits for the next one", async () => {
  const { ctx, sessionId, send } = await runningHost()
  await ctx.db.sandbox.updateMany({ where: { sessionId }, data: { state: "stopping" } })
  expect(await send("steer")).toMatchObject({ state: "queued", attempt: 0 })
  expect(await ctx.db.session.findUnique({ where: { id: sessionId } })).toMatchObject({
    generation: 2,
  })
})

test("[D12] a steer is not stopped by itself: the conflict names its host", async () => {
  const { ctx, host, send } = await runningHost()
  const { id } = await send("steer")
  const calls = ctx.rooms.named("stop").length
  await expect(stopPrompt(ctx, { promptId: id })).rejects.toMatchObject({
    code: "CONFLICT",
    reason: "prompt-is-steer",
    message: expect.stringContaining(host.id),
  })
  expect(ctx.rooms.named("stop")).toHaveLength(calls)
})

test("a steer that comes back to an ended session is withdrawn with what was queued", async () => {
  const { ctx, sessionId, room, send, stateOf } = await runningHost()
  const { id } = await send("steer")
  await terminateSession(ctx, { sessionId })
  await room.report({ type: "attempt.returned", ...refOf(id) })
  expect(await stateOf(id)).toBe("withdrawn")
})

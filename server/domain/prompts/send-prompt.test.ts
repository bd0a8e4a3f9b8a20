import { expect, test } from "vitest"
import { sessionIdSchema } from "#protocol/ids"
import { MAX_PROMPT_CHARS } from "#protocol/limits"
import { actingAs } from "../../testing/context.ts"
import {
  createContext,
  createMember,
  idleSession,
  newPromptId,
  newSession,
  TestRoom,
} from "../../testing/factories.ts"
import { queuedJobs } from "../../testing/queued-jobs.ts"
import { freshSystem } from "../../testing/system.ts"
import { claimForRoom } from "../dispatch/index.ts"
import { getSession, terminateSession } from "../sessions/index.ts"
import { sendPrompt } from "./send-prompt.ts"

const system = await freshSystem()

const wish = (session: { id: string }, text = "Go on") => ({
  sessionId: sessionIdSchema.parse(session.id),
  promptId: newPromptId(),
  text,
  mode: "queue" as const,
})

test("[D3] a prompt for an idle session is claimed at once, its room is told, and a job would do it again", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  const input = wish(session)
  const runsBefore = ctx.rooms.named("run").length
  const prompt = await sendPrompt(ctx, input)
  expect(prompt).toMatchObject({ id: input.promptId, state: "dispatched", attempt: 1 })
  expect(ctx.rooms.named("run").slice(runsBefore)).toMatchObject([
    {
      sessionId: session.id,
      claim: {
        promptId: input.promptId,
        attempt: 1,
        generation: 1,
        turnId: input.promptId,
        text: "Go on",
        author: { id: ctx.actor.userId, name: "Ada" },
        model: "scripted/demo",
        deadlines: ctx.settings.turn,
      },
    },
  ])
  const deliver = (await queuedJobs(ctx.db, session.id)).find(({ name }) => name === "deliver")
  expect(deliver?.runAt.getTime()).toBeGreaterThan(ctx.now().getTime())
  expect(await getSession(ctx, { sessionId: session.id })).toMatchObject({ status: "working" })
})

test("a room that cannot be reached does not fail the prompt: it stays claimed for the job", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  ctx.rooms.answer = () => ({ ok: false, error: { reason: "room-unreachable", message: "" } })
  const prompt = await sendPrompt(ctx, wish(session))
  ctx.rooms.answer = () => ({ ok: true })
  expect(prompt.state).toBe("dispatched")
})

test("[D1] the same prompt id with the same body answers the first row, also ten at once", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  const input = wish(session)
  const answers = await Promise.all(Array.from({ length: 10 }, () => sendPrompt(ctx, input)))
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
  expect(await ctx.db.attempt.count({ where: { promptId: input.promptId } })).toBe(1)
})

test("[D1] another body under the same id is a conflict, in this session and in any other", async () => {
  const ctx = await createContext(system)
  const [one, other] = [await newSession(ctx), await newSession(ctx)]
  const input = wish(one)
  await sendPrompt(ctx, input)
  const reused = { code: "CONFLICT", reason: "prompt-id-reused" }
  await expect(sendPrompt(ctx, { ...input, text: "Else" })).rejects.toMatchObject(reused)
  await expect(
    sendPrompt(ctx, { ...input, sessionId: wish(other).sessionId }),
  ).rejects.toMatchObject(reused)
})

test("[D2] of prompts sent at once one runs and the others wait in one order", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  await Promise.all(Array.from({ length: 12 }, (_, i) => sendPrompt(ctx, wish(session, `p${i}`))))
  const live = { sessionId: session.id, state: { in: ["dispatched", "running"] as const } }
  expect(
    await ctx.db.attempt.count({ where: { ...live, state: { in: [...live.state.in] } } }),
  ).toBe(1)
  const queued = await ctx.db.prompt.findMany({
    where: { sessionId: session.id, state: "queued" },
  })
  expect(queued).toHaveLength(11)
  expect(new Set(queued.map(({ position }) => position)).size).toBe(11)
})

test("a prompt for a busy session waits its turn and is claimed when the room asks", async () => {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const [running, waiting] = [wish(session), wish(session)]
  await sendPrompt(ctx, running)
  expect(await sendPrompt(ctx, waiting)).toMatchObject({ state: "queued" })
  const ask = { post: "claim-next", sessionId: running.sessionId, generation: 1 } as const
  expect(await claimForRoom(ctx, ask)).toMatchObject({ claim: { promptId: running.promptId } })
  expect(await claimForRoom(ctx, ask)).toMatchObject({ claim: { promptId: running.promptId } })
  await room.runs(running.promptId)
  expect(await claimForRoom(ctx, ask)).toMatchObject({ claim: { promptId: waiting.promptId } })
  await room.runs(waiting.promptId)
  expect(await claimForRoom(ctx, ask)).toEqual({ kind: "claim", claim: null })
})

test("[D3] only the room of the newest sandbox gets a claim: older ones are stale, ones ahead wait", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  const { sessionId } = wish(session)
  await ctx.db.session.update({ where: { id: sessionId }, data: { generation: 2 } })
  const ask = (generation: number) =>
    claimForRoom(ctx, { post: "claim-next", sessionId, generation })
  expect(await ask(1)).toMatchObject({ kind: "stale", generation: 2 })
  expect(await ask(3)).toEqual({ kind: "claim", claim: null })
})

test("a steer whose host is not accepted yet goes before what waits, and the status says that it runs next", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  await sendPrompt(ctx, wish(session, "runs"))
  const waiting = await sendPrompt(ctx, wish(session, "waits"))
  const steer = await sendPrompt(ctx, { ...wish(session, "steers"), mode: "steer" })
  expect(steer).toMatchObject({ state: "queued", mode: "steer" })
  expect(steer.position).toBeLessThan(waiting.position)
  expect(await getSession(ctx, { sessionId: session.id })).toMatchObject({
    status: "working",
    statusReason: expect.stringContaining("steer"),
  })
})

test("a prompt wakes a session whose boot failed, and waits for the new sandbox", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  await new TestRoom(ctx, session).report({
    type: "boot.phase",
    generation: 1,
    phase: "agent",
    state: "failed",
    durationMs: 1,
    detail: "",
    error: null,
  })
  expect(await sendPrompt(ctx, wish(session))).toMatchObject({ state: "queued" })
  expect(await getSession(ctx, { sessionId: session.id })).toMatchObject({
    generation: 2,
    status: "queued",
  })
})

test("an ended session takes no prompt, but still answers a repeated one", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  const before = wish(session)
  await sendPrompt(ctx, before)
  await terminateSession(ctx, { sessionId: session.id })
  await expect(sendPrompt(ctx, wish(session))).rejects.toMatchObject({
    code: "CONFLICT",
    reason: "session-ended",
  })
  expect(await sendPrompt(ctx, before)).toMatchObject({ state: "withdrawn" })
})

test("empty, over-long and unknown-model prompts are refused with a reason", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  await expect(sendPrompt(ctx, wish(session, ""))).rejects.toMatchObject({ reason: "prompt-empty" })
  await expect(
    sendPrompt(ctx, wish(session, "x".repeat(MAX_PROMPT_CHARS + 1))),
  ).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE", reason: "prompt-too-long" })
  await expect(sendPrompt(ctx, { ...wish(session), model: "no/such" })).rejects.toMatchObject({
    reason: "unknown-model",
  })
})

test("text that PostgreSQL cannot hold is stored in visible characters", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  const input = wish(session, "a\u0000b\ud83d")
  expect((await sendPrompt(ctx, input)).text).toBe("a\u2400b\ufffd")
  expect((await sendPrompt(ctx, input)).id).toBe(input.promptId)
})

test("a neighbour's session is not found, a viewer is refused", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  await expect(sendPrompt(await createContext(system), wish(session))).rejects.toMatchObject({
    code: "NOT_FOUND",
  })
  const viewer = await createMember(system, ctx.actor.teamId, { role: "viewer" })
  await expect(sendPrompt(actingAs(system, viewer), wish(session))).rejects.toMatchObject({
    code: "FORBIDDEN",
  })
})

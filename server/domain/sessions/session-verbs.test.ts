import { decodeJwt } from "jose"
import { expect, test } from "vitest"
import { actingAs, type TestContext } from "../../testing/context.ts"
import {
  createContext,
  createMember,
  idleSession,
  newPromptId,
  newSession,
  TestRoom,
} from "../../testing/factories.ts"
import { jobNames } from "../../testing/queued-jobs.ts"
import { freshSystem } from "../../testing/system.ts"
import { sendPrompt } from "../prompts/index.ts"
import {
  archiveSession,
  connectSession,
  getSession,
  renameSession,
  terminateSession,
  wakeSession,
} from "./index.ts"

const system = await freshSystem()

const failBoot = (room: TestRoom) =>
  room.report({
    type: "boot.phase",
    generation: room.generation,
    phase: "clone",
    state: "failed",
    durationMs: 10,
    detail: "",
    error: { reason: "clone-failed", message: "The repository could not be cloned." },
  })

test("a session is renamed to a one-line title", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  expect((await renameSession(ctx, { sessionId, title: " New\nname " })).title).toBe("New")
  for (const title of ["", " ", "\u200b\u202e\u0007"]) {
    await expect(renameSession(ctx, { sessionId, title })).rejects.toMatchObject({
      reason: "title-empty",
    })
  }
})

test("a failed session is woken by a new sandbox; a repeat asks for no second one", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  await failBoot(new TestRoom(ctx, session))
  const failed = await getSession(ctx, { sessionId: session.id })
  expect(failed).toMatchObject({
    status: "failed",
    statusReason: expect.stringContaining("could not be cloned"),
  })
  const woken = await wakeSession(ctx, { sessionId: session.id })
  expect(woken).toMatchObject({ status: "queued", generation: 2 })
  expect(await wakeSession(ctx, { sessionId: session.id })).toMatchObject({ generation: 2 })
  const [prompt] = await ctx.db.prompt.findMany({ where: { sessionId: session.id } })
  expect(prompt?.state).toBe("queued")
})

test("an ended session withdraws what waits, gives its sandbox up and stays ended", async () => {
  const ctx = await createContext(system)
  const { session } = await idleSession(ctx)
  const sessionId = session.id
  await sendPrompt(ctx, { sessionId, promptId: newPromptId(), text: "runs", mode: "queue" })
  const waiting = newPromptId()
  await sendPrompt(ctx, { sessionId, promptId: waiting, text: "waits", mode: "queue" })
  const ended = await terminateSession(ctx, { sessionId })
  expect(ended).toMatchObject({ status: "ended", endedAt: ctx.now().toISOString() })
  expect(await ctx.db.prompt.findUnique({ where: { id: waiting } })).toMatchObject({
    state: "withdrawn",
  })
  expect(await ctx.db.sandbox.findFirst({ where: { sessionId } })).toMatchObject({
    state: "stopping",
    error: null,
  })
  expect(await jobNames(ctx.db, sessionId)).toEqual(
    expect.arrayContaining(["end-session", "stop-sandbox", "announce-status"]),
  )
  ctx.clock.advance(1_000)
  expect(await terminateSession(ctx, { sessionId })).toEqual(ended)
  await expect(wakeSession(ctx, { sessionId })).rejects.toMatchObject({ reason: "session-ended" })
})

test("[A1] connecting answers a one-minute ticket for the session's room with the actor's role", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  const connection = await connectSession(ctx, { sessionId })
  expect(connection).toMatchObject({
    url: `ws://127.0.0.1:3001/parties/session/${sessionId}`,
    protocol: "agent-ops.v1",
    expiresAt: new Date(ctx.now().getTime() + 60_000).toISOString(),
  })
  const claims = decodeJwt(connection.ticket)
  expect(claims).toMatchObject({
    aud: `session:${sessionId}`,
    sub: ctx.actor.userId,
    name: "Ada",
    role: "operate",
  })
  const grant = await ctx.db.grant.findUnique({ where: { id: claims.jti ?? "" } })
  expect(grant).toMatchObject({ sessionId, userId: ctx.actor.userId, role: "operate" })
})

test("an observer connects too, as one", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  const viewer = await createMember(system, ctx.actor.teamId, { role: "viewer" })
  const { ticket } = await connectSession(actingAs(system, viewer), { sessionId })
  expect(decodeJwt(ticket).role).toBe("observe")
})

const verbs: [string, (ctx: TestContext, sessionId: string) => Promise<unknown>][] = [
  ["renameSession", (ctx, sessionId) => renameSession(ctx, { sessionId: sessionId, title: "x" })],
  [
    "archiveSession",
    (ctx, sessionId) => archiveSession(ctx, { sessionId: sessionId, archived: true }),
  ],
  ["terminateSession", (ctx, sessionId) => terminateSession(ctx, { sessionId })],
  ["wakeSession", (ctx, sessionId) => wakeSession(ctx, { sessionId })],
]

test.each([
  ...verbs,
  [
    "connectSession",
    (ctx: TestContext, sessionId: string) => connectSession(ctx, { sessionId }),
  ] as const,
])("%s does not find a neighbour's session", async (_name, verb) => {
  const { id: sessionId } = await newSession(await createContext(system))
  await expect(verb(await createContext(system), sessionId)).rejects.toMatchObject({
    code: "NOT_FOUND",
    reason: "session-not-found",
  })
})

test.each(verbs)("%s refuses a read-only actor", async (_name, verb) => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  const viewer = await createMember(system, ctx.actor.teamId, { role: "viewer" })
  await expect(verb(actingAs(system, viewer), sessionId)).rejects.toMatchObject({
    code: "FORBIDDEN",
  })
})

import { expect, test } from "vitest"
import { actingAs } from "../../testing/context.ts"
import { createContext, createMember, createOwner } from "../../testing/factories.ts"
import { queuedJobs } from "../../testing/queued-jobs.ts"
import { freshSystem } from "../../testing/system.ts"
import { createSession } from "./create-session.ts"

const system = await freshSystem()
const input = { repoUrl: "file:///srv/git/project", prompt: "# Fix the login\n\nIt fails." }

test("a session is created with its prompt queued, a sandbox asked for and the jobs that do the rest", async () => {
  const ctx = await createContext(system)
  const session = await createSession(ctx, input)
  expect(session).toMatchObject({
    teamId: ctx.actor.teamId,
    title: "# Fix the login",
    status: "queued",
    statusReason: expect.stringMatching(/^Waits .*\.$/),
    model: "scripted/demo",
    agent: "build",
    branch: null,
    createdBy: { id: ctx.actor.userId, name: "Ada" },
    generation: 1,
    costMicros: 0,
  })
  const prompts = await ctx.db.prompt.findMany({ where: { sessionId: session.id } })
  expect(prompts).toMatchObject([{ text: input.prompt, state: "queued", attempt: 0 }])
  const sandboxes = await ctx.db.sandbox.findMany({ where: { sessionId: session.id } })
  expect(sandboxes).toMatchObject([{ generation: 1, state: "requested", link: "absent" }])
  const changes = await ctx.db.statusChange.findMany({ where: { sessionId: session.id } })
  expect(changes).toMatchObject([{ version: 1, status: "queued" }])
  expect((await queuedJobs(ctx.db, session.id)).map(({ name }) => name).sort()).toEqual([
    "announce-status",
    "start-sandbox",
  ])
})

test.each([
  [{ title: "\u202eMine" }, "Mine"],
  [{ title: "\u200b \u202e" }, "# Fix the login"],
  [{ title: " ", prompt: "\u200b\nSecond line" }, "Second line"],
  [{ prompt: "\u200b\u0007" }, "Untitled session"],
])("%j is titled %j", async (wish, title) => {
  const ctx = await createContext(system)
  expect(await createSession(ctx, { ...input, ...wish })).toMatchObject({ title })
})

test("[D1] a repeat with its idempotency key answers the first session, also when both come at once", async () => {
  const ctx = await createContext(system)
  const wish = { ...input, idempotencyKey: "once" }
  const [one, two] = await Promise.all([createSession(ctx, wish), createSession(ctx, wish)])
  const three = await createSession(ctx, wish)
  expect(new Set([one.id, two.id, three.id]).size).toBe(1)
  expect(await ctx.db.sandbox.count({ where: { sessionId: one.id } })).toBe(1)
  expect(await ctx.db.session.count({ where: { teamId: ctx.actor.teamId } })).toBe(1)
})

test("[D1] the key of another request is a conflict, the key of another team is not", async () => {
  const ctx = await createContext(system)
  const wish = { ...input, idempotencyKey: "once" }
  const first = await createSession(ctx, wish)
  await expect(createSession(ctx, { ...wish, prompt: "Something else" })).rejects.toMatchObject({
    code: "CONFLICT",
    reason: "idempotency-key-reused",
  })
  const neighbour = await createContext(system)
  expect((await createSession(neighbour, wish)).id).not.toBe(first.id)
})

test("a viewer, and a key that only reads, may not create a session", async () => {
  const owner = await createOwner(system)
  const viewer = actingAs(system, await createMember(system, owner.teamId, { role: "viewer" }))
  const reader = actingAs(system, { ...owner, scopes: ["read"] })
  for (const ctx of [viewer, reader]) {
    await expect(createSession(ctx, input)).rejects.toMatchObject({
      code: "FORBIDDEN",
      reason: "read-only",
    })
  }
})

test("what cannot work is refused before anything is written", async () => {
  const ctx = await createContext(system)
  const refusals = [
    [{ ...input, repoUrl: "ssh://git@example.com/x" }, "repository-scheme-not-allowed"],
    [{ ...input, branch: "-x" }, "branch-name-invalid"],
    [{ ...input, model: "openai/gpt-99" }, "unknown-model"],
    [{ ...input, prompt: " " }, "prompt-empty"],
  ] as const
  for (const [wish, reason] of refusals) {
    await expect(createSession(ctx, wish)).rejects.toMatchObject({ reason })
  }
  expect(await ctx.db.session.count({ where: { teamId: ctx.actor.teamId } })).toBe(0)
})

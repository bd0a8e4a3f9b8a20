import { expect, test } from "vitest"
import { sandboxAwaySchema } from "#protocol/call"
import { promptIdSchema } from "#protocol/ids"
import type { Diff } from "#protocol/work"
import { ROOM_REFUSED } from "../../rooms/client.ts"
import { ROOM_UNREACHABLE } from "../../rooms/port.ts"
import { createContext, idleSession, newSession } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { changesDiff, changesFile, changesSummary } from "./index.ts"

const system = await freshSystem()

const diff = (path: string): Diff => ({
  base: "c0ffee",
  truncated: false,
  files: [{ path, status: "added", additions: 3, deletions: 1, binary: false, patch: "@@" }],
})

const lost = { type: "runner.link", generation: 1, state: "lost" } as const

test("while the sandbox is up the diff is its own, else the newest turn's", async () => {
  const ctx = await createContext(system)
  const { session, room, firstPromptId } = await idleSession(ctx)
  const sessionId = session.id
  const turnId = promptIdSchema.parse(firstPromptId)
  await room.report({ type: "turn.diff", turnId, diff: diff("stored.ts") })
  ctx.rooms.answer = ({ call }) => ({ ok: true, value: call === "ask" ? diff("live.ts") : null })
  expect((await changesDiff(ctx, { sessionId })).files).toMatchObject([{ path: "live.ts" }])
  await room.report(lost)
  expect(await changesSummary(ctx, { sessionId })).toEqual({
    base: "c0ffee",
    files: [{ path: "stored.ts", status: "added", additions: 3, deletions: 1 }],
    additions: 3,
    deletions: 1,
  })
})

async function sessionWithDiff() {
  const ctx = await createContext(system)
  const { session, room, firstPromptId } = await idleSession(ctx)
  const turnId = promptIdSchema.parse(firstPromptId)
  await room.report({ type: "turn.diff", turnId, diff: diff("stored.ts") })
  return { ctx, sessionId: session.id }
}

test.each([...sandboxAwaySchema.options, ROOM_UNREACHABLE, ROOM_REFUSED])(
  "a sandbox that was not heard (%s) leaves the newest turn's diff",
  async (reason) => {
    const { ctx, sessionId } = await sessionWithDiff()
    ctx.rooms.answer = () => ({ ok: false, error: { reason, message: "Away." } })
    expect((await changesDiff(ctx, { sessionId })).files).toMatchObject([{ path: "stored.ts" }])
  },
)

test.each(["repository-gone", "workspace-gone", "diff-failed", "diff-too-slow", "unexpected"])(
  "a sandbox that cannot read its workspace (%s) is quoted, and no older diff is shown",
  async (reason) => {
    const { ctx, sessionId } = await sessionWithDiff()
    const error = { reason, message: "The repository is gone. Start a new session." }
    ctx.rooms.answer = () => ({ ok: false, error })
    const refusal = { code: "PRECONDITION_FAILED", ...error }
    await expect(changesDiff(ctx, { sessionId })).rejects.toMatchObject(refusal)
    await expect(changesSummary(ctx, { sessionId })).rejects.toMatchObject(refusal)
  },
)

test("an answer that is no diff is an error too", async () => {
  const { ctx, sessionId } = await sessionWithDiff()
  ctx.rooms.answer = () => ({ ok: true, value: { unreadable: true } })
  await expect(changesDiff(ctx, { sessionId })).rejects.toMatchObject({
    reason: "sandbox-answer-unreadable",
  })
})

test("a session that has changed nothing has an empty diff", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  expect(await changesDiff(ctx, { sessionId })).toEqual({ base: "", files: [], truncated: false })
})

test("a file is read from the running sandbox; without one the error says what to do", async () => {
  const ctx = await createContext(system)
  const { session, room } = await idleSession(ctx)
  const wish = { sessionId: session.id, path: "a.ts" }
  const file = { path: "a.ts", bytes: 2, binary: false, truncated: false, text: "hi" }
  ctx.rooms.answer = () => ({ ok: true, value: file })
  expect(await changesFile(ctx, wish)).toEqual(file)
  const missing = { reason: "file-not-found", message: "There is no file a.ts." }
  ctx.rooms.answer = () => ({ ok: false, error: missing })
  await expect(changesFile(ctx, wish)).rejects.toMatchObject({ code: "NOT_FOUND", ...missing })
  ctx.rooms.answer = () => ({ ok: false, error: { reason: ROOM_UNREACHABLE, message: "fetch" } })
  await expect(changesFile(ctx, wish)).rejects.toMatchObject({
    code: "SERVICE_UNAVAILABLE",
    message: expect.stringMatching(/^The session's room cannot be reached .* Try again/),
  })
  await room.report(lost)
  await expect(changesFile(ctx, wish)).rejects.toMatchObject({
    code: "PRECONDITION_FAILED",
    reason: "sandbox-not-running",
  })
})

test("a neighbour's changes are not found", async () => {
  const { id: sessionId } = await newSession(await createContext(system))
  const ctx = await createContext(system)
  await expect(changesDiff(ctx, { sessionId })).rejects.toMatchObject({ code: "NOT_FOUND" })
  await expect(changesSummary(ctx, { sessionId })).rejects.toMatchObject({ code: "NOT_FOUND" })
  await expect(changesFile(ctx, { sessionId, path: "a" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  })
})

import { expect, test } from "vitest"
import type { TestContext } from "../../testing/context.ts"
import { createContext, newSession, TestRoom } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { Unauthorized } from "../errors.ts"
import { type SessionEvent, sessionEvents } from "./session-events.ts"

const system = await freshSystem()

const text = (key: string) => ({
  entry: { key, turnId: null, kind: "text", text: key, done: true } as const,
})

const as = ({ actor }: TestContext, signal?: AbortSignal) => ({
  signal,
  actorNow: async () => actor,
})

async function take(events: AsyncGenerator<SessionEvent>, count: number): Promise<SessionEvent[]> {
  const taken: SessionEvent[] = []
  for await (const event of events) {
    taken.push(event)
    if (taken.length === count) break
  }
  return taken
}

test("events are the entries in order, those that come later too, and resume after the last id", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  const room = new TestRoom(ctx, session)
  await room.post(text("a"), text("b"))
  const stop = new AbortController()
  const events = sessionEvents(ctx, { sessionId: session.id }, as(ctx, stop.signal))
  const later = take(events, 3)
  await room.post(text("c"))
  const seen = await later
  expect(seen.map(({ id, entry }) => [id, entry.key])).toEqual([
    [`${room.epoch}:1`, "a"],
    [`${room.epoch}:2`, "b"],
    [`${room.epoch}:3`, "c"],
  ])
  const resumed = sessionEvents(ctx, { sessionId: session.id, lastEventId: seen[1]?.id }, as(ctx))
  expect((await take(resumed, 1))[0]?.entry.key).toBe("c")
})

test("a stream ends when its reader is gone, a neighbour's is not found", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  const stop = new AbortController()
  const waiting = take(sessionEvents(ctx, { sessionId }, as(ctx, stop.signal)), 1)
  stop.abort()
  expect(await waiting).toEqual([])
  const other = await createContext(system)
  const neighbour = sessionEvents(other, { sessionId }, as(other))
  await expect(take(neighbour, 1)).rejects.toMatchObject({ code: "NOT_FOUND" })
})

test("whoever loses access reads no further than ten seconds", async () => {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  const room = new TestRoom(ctx, session)
  await room.post(text("a"))
  const actorNow = async () => {
    throw new Unauthorized("api-key-revoked", "This API key was revoked. Create a new one.")
  }
  const events = sessionEvents(ctx, { sessionId: session.id }, { actorNow })
  expect((await events.next()).value?.entry.key).toBe("a")
  await room.post(text("b"))
  system.clock.advance(9_000)
  expect((await events.next()).value?.entry.key).toBe("b")
  await room.post(text("c"))
  system.clock.advance(1_000)
  await expect(events.next()).rejects.toMatchObject({ reason: "api-key-revoked" })
})

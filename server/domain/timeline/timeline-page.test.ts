import { expect, test } from "vitest"
import { createContext, newSession, TestRoom } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { timelinePage } from "./timeline-page.ts"

const system = await freshSystem()

const text = (key: string, body = "") => ({
  entry: { key, turnId: null, kind: "text", text: body, done: true } as const,
})

/** A timeline of keys k1…k20 where every fourth key has a second version at the end. */
async function newTimeline() {
  const ctx = await createContext(system)
  const session = await newSession(ctx)
  const room = new TestRoom(ctx, session)
  await room.post(...Array.from({ length: 20 }, (_, i) => text(`k${i + 1}`)))
  await room.post(...[4, 8, 12, 16, 20].map((i) => text(`k${i}`, "again")))
  return { ctx, sessionId: session.id, room }
}

test("[E4] since goes forward by seq, and each upTo is the place to go on from", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const seen: number[] = []
  let since = "0"
  let hasMore = true
  while (hasMore) {
    const page = await timelinePage(ctx, { sessionId, since, limit: 7 })
    seen.push(...page.items.map(({ seq }) => seq))
    since = page.upTo
    hasMore = page.hasMore
    if (hasMore) expect(page.upTo).toBe(`${room.epoch}:${seen.at(-1)}`)
  }
  expect(since).toBe(`${room.epoch}:25`)
  expect(seen).toHaveLength(20)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
})

test("[E4] since answers only what is newer, also an older key's new version", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const page = await timelinePage(ctx, { sessionId, since: `${room.epoch}:23`, limit: 50 })
  expect(page.items.map(({ key }) => key)).toEqual(["k16", "k20"])
  const none = await timelinePage(ctx, { sessionId, since: page.upTo, limit: 50 })
  expect(none).toEqual({ items: [], upTo: page.upTo, hasMore: false })
})

test("[E4] the end of since is ingestedSeq, also when reports follow the last entry", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  await room.report({ type: "runner.link", generation: 1, state: "connected" })
  const page = await timelinePage(ctx, { sessionId, since: "0", limit: 50 })
  expect(page).toMatchObject({ upTo: `${room.epoch}:26`, hasMore: false })
})

test("[E4] without since it is the newest page, and before goes back by firstSeq to the beginning", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const first = await timelinePage(ctx, { sessionId, limit: 8 })
  expect(first.items.map(({ firstSeq }) => firstSeq)).toEqual([13, 14, 15, 16, 17, 18, 19, 20])
  expect(first).toMatchObject({ upTo: `${room.epoch}:25`, hasMore: true })
  const second = await timelinePage(ctx, { sessionId, before: 13, limit: 8 })
  const third = await timelinePage(ctx, { sessionId, before: 5, limit: 8 })
  expect(second.items.map(({ key }) => key)).toContain("k8")
  expect(third.items.map(({ firstSeq }) => firstSeq)).toEqual([1, 2, 3, 4])
  expect(third.hasMore).toBe(false)
})

test("[E4] a page back keeps the upTo of the first page while the session goes on", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const { upTo } = await timelinePage(ctx, { sessionId, limit: 5 })
  await room.post(text("k21"))
  const older = await timelinePage(ctx, { sessionId, before: 16, upTo, limit: 5 })
  expect(older.upTo).toBe(upTo)
  const news = await timelinePage(ctx, { sessionId, since: upTo, limit: 5 })
  expect(news.items.map(({ key }) => key)).toEqual(["k21"])
})

test("[E4][I1] a place that the log has not reached is not answered as if it had", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const end = `${room.epoch}:25`
  const upToOf = async (upTo: string) =>
    (await timelinePage(ctx, { sessionId, before: 16, upTo, limit: 5 })).upTo
  expect(await upToOf(end)).toBe(end)
  expect(await upToOf(`${room.epoch}:26`)).toBe(end)
  expect(await upToOf(`${room.epoch + 1}:3`)).toBe(end)
  // Going on from there starts over, so nothing is skipped.
  expect(await upToOf("5:99")).toBe("5:99")
  expect(await upToOf("0")).toBe("0")
})

test("[E3] a cursor of another epoch starts over", async () => {
  const { ctx, sessionId } = await newTimeline()
  const page = await timelinePage(ctx, { sessionId, since: "5:24", limit: 50 })
  expect(page.items).toHaveLength(20)
})

test("an entry comes back as it was stored, with its own fields alone", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const { items } = await timelinePage(ctx, { sessionId, since: `${room.epoch}:24`, limit: 1 })
  expect(items).toEqual([
    {
      ...text("k20", "again").entry,
      seq: 25,
      firstSeq: 20,
      at: ctx.now().toISOString(),
    },
  ])
})

test("a page of large entries ends early and still goes on", async () => {
  const { ctx, sessionId, room } = await newTimeline()
  const noise = () => Array.from({ length: 60_000 }, () => Math.random().toString(36)).join("")
  for (let i = 0; i < 8; i++) await room.post(text(`large${i}`, noise().slice(0, 900_000)))
  const page = await timelinePage(ctx, { sessionId, since: `${room.epoch}:25`, limit: 50 })
  expect(page.hasMore).toBe(true)
  expect(page.items.length).toBeGreaterThan(1)
  const rest = await timelinePage(ctx, { sessionId, since: page.upTo, limit: 50 })
  expect(page.items.length + rest.items.length).toBe(8)
})

test("a session without entries has an empty page, a neighbour's is not found", async () => {
  const ctx = await createContext(system)
  const { id: sessionId } = await newSession(ctx)
  expect(await timelinePage(ctx, { sessionId, limit: 5 })).toEqual({
    items: [],
    upTo: "0:0",
    hasMore: false,
  })
  await expect(
    timelinePage(await createContext(system), { sessionId, limit: 5 }),
  ).rejects.toMatchObject({ code: "NOT_FOUND" })
})

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as z from "zod"
import { type Entry, promptKey } from "#protocol/entry"
import { MAX_VIEWER_UNSEEN_CHARS } from "#protocol/limits"
import type { SessionLog } from "#protocol/session-log"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { watchSession } from "../../dev/watch-session.ts"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { canonical } from "../faults/canonical.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { TcpProxy } from "../faults/tcp-proxy.ts"
import { until } from "../faults/until.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted } from "./session-driver.ts"
import { SlowViewer } from "./slow-viewer.ts"

const TOKENS = 5_000
const TOKEN_EVERY_MS = 2
const STREAM_WITHIN_MS = 100_000
/** What the agent shows of a command's output while it runs. */
const OUTPUT_SO_FAR_CHARS = 30_000
/** How many sessions are created at once. The others of them fail on purpose. */
const BURST = 20
const BURST_THAT_RUN = 4

let root: string
let stack: FaultStack
let repoUrl: string
let session: SessionDriver

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "spine-"))
  stack = await FaultStack.start()
  const repository = new GitRepository(join(root, "project"))
  repository.write("README.md", "# Project\n")
  repository.commit()
  repoUrl = repository.url
  session = await SessionDriver.create(stack, { repoUrl })
  await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
}, 400_000)

afterAll(async () => {
  await stack?.stop()
  if (root) rmSync(root, { recursive: true, force: true })
})

/** The timeline as a screen shows it. */
const screen = ({ order, entries }: SessionLog) => order.map((key) => canonical(entries.get(key)))

const hasEnded = (log: SessionLog, promptId: string) => {
  const entry = log.entries.get(promptKey(promptId))
  return entry?.kind === "prompt" && entry.state === "succeeded"
}

const textOf = ({ entries }: SessionLog, turnId: string) =>
  [...entries.values()].flatMap((entry) =>
    entry.kind === "text" && entry.turnId === turnId ? [entry.text] : [],
  )

/** A browser's view, by way of the rooms or of a wire before them. */
function watch(port?: number) {
  const sessionId = session.id
  return watchSession({
    connect: async () => {
      const { url, ticket } = await stack.api.session.connect.mutate({ sessionId })
      const through = new URL(url)
      if (port !== undefined) through.port = String(port)
      return { url: through.href, ticket }
    },
    page: (since, limit) => stack.api.timeline.page.query({ sessionId, since, limit }),
  })
}

const messagesSchema = z.array(
  z.object({
    info: z.object({ role: z.string() }),
    parts: z.array(z.object({ type: z.string(), text: z.string().optional() })),
  }),
)

/** The last text that the agent itself holds. */
async function agentsText(): Promise<string> {
  const [first] = z.array(z.object({ id: z.string() })).parse(await session.agent("/session"))
  const messages = messagesSchema.parse(await session.agent(`/session/${first?.id}/message`))
  const texts = messages.flatMap(({ info, parts }) =>
    info.role === "assistant" ? parts.flatMap((part) => part.text ?? []) : [],
  )
  return texts.at(-1) ?? ""
}

test("5,000 streamed tokens arrive complete at two viewers, and at those who join late, drop or read slowly", async () => {
  const { roomsUrl } = stack.line
  const wire = await TcpProxy.start(await freePorts(1), Number(new URL(roomsUrl).port))
  const [one, two, drops] = [await watch(), await watch(), await watch(wire.port)]
  const slow = new SlowViewer(await stack.api.session.connect.mutate({ sessionId: session.id }))

  const say = "tøken 😀 "
  const promptId = await session.send(
    scripted({ say, repeat: TOKENS, everyMs: TOKEN_EVERY_MS }, { say: "the end." }),
  )
  const streamed = (chars: number) => (log: SessionLog) =>
    (textOf(log, promptId)[0]?.length ?? 0) > chars
  const whole = say.length * TOKENS

  await one.until("the first words", streamed(0), STREAM_WITHIN_MS)
  for (const part of [0.2, 0.4, 0.6]) {
    await one.until(`${part} of the text`, streamed(whole * part), STREAM_WITHIN_MS)
    wire.drop(() => true)
  }
  const joins = await watch()
  await joins.until("something", streamed(whole * 0.5), STREAM_WITHIN_MS)
  expect(hasEnded(one.log, promptId)).toBe(false)

  const views = [one, two, drops, joins]
  for (const view of views) {
    await view.until("the end", (log) => hasEnded(log, promptId), STREAM_WITHIN_MS)
  }
  await until("the slow viewer's end", STREAM_WITHIN_MS, () => hasEnded(slow.log, promptId))

  const own = await agentsText()
  expect(own).toBe(`${say.repeat(TOKENS)}the end.`)
  for (const { log } of [...views, slow]) expect(textOf(log, promptId)).toEqual([own])

  // What is stored is what all of them show, entry by entry.
  await session.has("idle")
  const stored = await until("the whole log in the database", 20_000, async () => {
    const entries = await session.entries()
    const shown = screen(one.log)
    return entries.length === shown.length ? entries : null
  })
  const asStored = stored.map((entry: Entry) => canonical(entry))
  for (const { log } of [...views, slow]) {
    const shown = () => screen(log)
    await until("the last status", 20_000, () => shown().length === asStored.length)
  }
  for (const view of [one, two, drops, joins, slow]) expect(screen(view.log)).toEqual(asStored)

  for (const view of [...views, slow]) view.close()
  wire.close()
})

test("[R43] a viewer that reads so little that the room lets go of it ends equal to the others", async () => {
  const view = await watch()
  const slow = new SlowViewer(await stack.api.session.connect.mutate({ sessionId: session.id }))
  await until("what was before", STREAM_WITHIN_MS, () => slow.log.order.length > 0)
  slow.sleep()

  // Each line makes a new version of the command's entry, with all of its output so far.
  const lines = Math.ceil((1.2 * MAX_VIEWER_UNSEEN_CHARS) / OUTPUT_SO_FAR_CHARS)
  const loud = `yes | head -c ${OUTPUT_SO_FAR_CHARS}; for i in $(seq ${lines}); do echo $i; sleep 0.3; done`
  const promptId = await session.send(scripted(bash(loud), { say: "The end." }))
  await view.until("the end", (log) => hasEnded(log, promptId), STREAM_WITHIN_MS)
  expect(hasEnded(slow.log, promptId)).toBe(false)

  slow.wake()
  await until("the slow viewer's end", STREAM_WITHIN_MS, () => hasEnded(slow.log, promptId))
  expect(slow.lags).toBeGreaterThan(0)
  await until("the same on both screens", 20_000, () => {
    expect(screen(slow.log)).toEqual(screen(view.log))
    return true
  })
  view.close()
  slow.close()
})

test("rooms that restart in the middle of an answer: it comes once more, and what was shown before is marked", async () => {
  const view = await watch()
  const say = "word "
  const promptId = await session.send(scripted({ say, repeat: 400, everyMs: 10 }))
  const begun = (log: SessionLog) => textOf(log, promptId).join("").length > 20 * say.length
  await view.until("the first words", begun, STREAM_WITHIN_MS)
  await stack.isBack("rooms", stack.kill("rooms"))
  expect(await session.ended(promptId, STREAM_WITHIN_MS)).toMatchObject({
    state: "succeeded",
    error: null,
  })
  const texts = (await session.entries()).flatMap((entry) =>
    entry.kind === "text" && entry.turnId === promptId ? [entry] : [],
  )
  const [last, ...earlier] = texts.reverse()
  expect(last).toMatchObject({ text: say.repeat(400), done: true })
  expect(last).not.toHaveProperty("replaced")
  expect(earlier.length).toBeGreaterThan(0)
  for (const text of earlier) expect(text).toMatchObject({ done: true, replaced: true })
  await view.until("the end", (log) => hasEnded(log, promptId), STREAM_WITHIN_MS)
  view.close()
})

test("the same arrives as server-sent events, which resume after any of them without a gap", async () => {
  // The last turn's status may still be on its way into the log.
  await session.has("idle")
  const all = await until("the stored log as events", 20_000, async () => {
    const stored = await session.entries()
    const found = await events("0", stored.length)
    expect(found.map(({ entry }) => canonical(entry)).sort()).toEqual(stored.map(canonical).sort())
    return found
  })
  const middle = Math.floor(all.length / 2)
  const rest = await events(all[middle]?.id ?? "", all.length - middle - 1)
  expect(rest).toEqual(all.slice(middle + 1))
})

const eventSchema = z.object({ id: z.string(), entry: z.looseObject({ key: z.string() }) })

/** The next `count` events after one of them. */
async function events(lastEventId: string, count: number) {
  const url = new URL("/api/trpc/session.events", stack.line.url)
  url.searchParams.set("input", JSON.stringify({ sessionId: session.id, lastEventId }))
  const stop = new AbortController()
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${stack.line.apiKey}`, accept: "text/event-stream" },
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]),
  })
  const found: z.infer<typeof eventSchema>[] = []
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of response.body ?? []) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split("\n\n")
    text = blocks.pop() ?? ""
    for (const block of blocks) {
      const id = /^id: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (id && data) found.push(eventSchema.parse(JSON.parse(data)))
    }
    if (found.length >= count) break
  }
  stop.abort()
  return found
}

describe("many at once", () => {
  test(`${BURST} sessions created at once all come to their end, few of them starting at a time`, async () => {
    const sessions = await Promise.all(
      Array.from({ length: BURST }, async (_, index) => {
        const runs = index % Math.ceil(BURST / BURST_THAT_RUN) === 0
        const url = runs ? repoUrl : `file://${root}/absent-${index}`
        const prompt = scripted({ say: `Number ${index}.` })
        return { runs, index, driver: await SessionDriver.create(stack, { repoUrl: url, prompt }) }
      }),
    )
    expect(new Set(sessions.map(({ driver }) => driver.id)).size).toBe(BURST)
    let mostStarting = 0
    const open = new Set(sessions)
    await until("all of them to end", 30_000 + BURST * 20_000, async () => {
      const { items } = await stack.api.session.list.query({ limit: 100 })
      const starting = items.filter(({ status }) => status === "booting").length
      mostStarting = Math.max(mostStarting, starting)
      for (const one of open) {
        const status = items.find(({ id }) => id === one.driver.id)?.status
        if (status !== (one.runs ? "idle" : "failed")) continue
        await expectEnd(one)
        open.delete(one)
      }
      return open.size === 0
    })
    expect(mostStarting).toBeGreaterThan(0)
    expect(mostStarting).toBeLessThanOrEqual(2)
  }, 600_000)

  async function expectEnd({
    runs,
    index,
    driver,
  }: {
    runs: boolean
    index: number
    driver: SessionDriver
  }) {
    const [prompt] = await driver.prompts()
    expect(prompt).toMatchObject({ state: runs ? "succeeded" : "queued", attempt: runs ? 1 : 0 })
    const texts = (await driver.entries()).flatMap((entry) =>
      entry.kind === "text" ? [entry.text] : [],
    )
    expect(texts).toEqual(runs ? [`Number ${index}.`] : [])
    await driver.terminate()
  }

  test("20 prompts sent at once to one session are carried out one by one, each once", async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, index) => session.send(scripted({ say: `Part ${index}.` }))),
    )
    for (const id of ids) {
      expect(await session.ended(id, STREAM_WITHIN_MS)).toMatchObject({
        state: "succeeded",
        attempt: 1,
      })
    }
    const parts = (await session.entries()).flatMap((entry) =>
      entry.kind === "text" && entry.text.startsWith("Part ") ? [entry.text] : [],
    )
    expect([...parts].sort()).toEqual(ids.map((_, index) => `Part ${index}.`).sort())
  })
})

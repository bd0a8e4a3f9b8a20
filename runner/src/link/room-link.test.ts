import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { CLOSE } from "#protocol/close-code"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { OutboxItem } from "#protocol/work"
import { Outbox } from "../outbox/outbox.ts"
import { blackHole } from "../testing/black-hole.ts"
import { openNodeSocket } from "../testing/node-socket.ts"
import { RoomStub } from "../testing/room-stub.ts"
import { RoomLink, type RoomLinkOptions } from "./room-link.ts"

let home: string
let room: RoomStub
const cleanups: (() => void | Promise<void>)[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "link-"))
  room = await RoomStub.start()
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await room.stop()
  await rm(home, { recursive: true, force: true })
})

const attempt = { promptId: promptIdSchema.parse("p"), attempt: 1 }

function item(number: number): OutboxItem {
  return { report: { type: "attempt.running", ...attempt, attempt: number } }
}

function text(key: string, content = "", done = false): OutboxItem {
  const entry: DraftEntry = { key, turnId: null, kind: "text", text: content, done }
  return { entry }
}

async function openOutbox() {
  const outbox = await Outbox.open({
    directory: home,
    generation: 3,
    onDiskFull: () => undefined,
    onBroken: (error) => {
      throw error
    },
  })
  cleanups.push(() => outbox.close())
  return outbox
}

async function start(overrides: Partial<RoomLinkOptions> & { port?: number } = {}) {
  const outbox = overrides.outbox ?? (await openOutbox())
  const { port = room.port, ...rest } = overrides
  const link = new RoomLink({
    url: `ws://127.0.0.1:${port}/parties/session/ses_1`,
    token: "secret",
    generation: 3,
    outbox,
    openSocket: openNodeSocket,
    log: () => undefined,
    currentAttempt: () => null,
    onWelcome: vi.fn<() => void>(),
    onOrder: vi.fn<RoomLinkOptions["onOrder"]>(),
    onFinal: vi.fn<RoomLinkOptions["onFinal"]>(),
    ...rest,
  })
  cleanups.push(() => link.close())
  link.start()
  return { link, outbox }
}

const soon = { timeout: 12_000, interval: 5 }
const stored = (count: number) => vi.waitFor(() => expect(room.items).toHaveLength(count), soon)
const numbers = () =>
  room.items.map((stored) =>
    "report" in stored && "attempt" in stored.report ? stored.report.attempt : null,
  )

describe("greeting", () => {
  test("shows the token in a header, never in the address, and names stream and attempt", async () => {
    const { outbox } = await start({ currentAttempt: () => attempt })

    await vi.waitFor(() => expect(room.hellos).toHaveLength(1), soon)

    expect(room.requests).toEqual([
      { url: "/parties/session/ses_1", authorization: "Bearer secret" },
    ])
    expect(room.hellos[0]).toEqual({
      type: "hello",
      protocol: 1,
      generation: 3,
      streamId: outbox.streamId,
      attempt,
    })
  })
})

describe("the outbox", () => {
  test("is sent in order and acknowledged", async () => {
    const { outbox } = await start()

    for (let n = 1; n <= 200; n++) outbox.push(item(n))

    await vi.waitFor(() => expect(outbox.acked).toBe(200), soon)
    expect(numbers()).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
  })

  test("[E8] is sent again from the first item that the room lacks", async () => {
    const outbox = await openOutbox()
    for (let n = 1; n <= 5; n++) outbox.push(item(n))
    await outbox.settled()
    room.setAcked(outbox.streamId, 2)

    await start({ outbox })

    await stored(3)
    expect(numbers()).toEqual([3, 4, 5])
  })

  test("loses nothing and repeats nothing over many broken connections", async () => {
    const { outbox } = await start()

    for (let n = 1; n <= 180; n++) {
      outbox.push(item(n))
      if (n % 60 === 0) {
        await vi.waitFor(() => expect(room.connected).toBe(true), soon)
        room.drop()
      }
    }

    await vi.waitFor(() => expect(outbox.acked).toBe(180), { timeout: 10_000 })
    expect(numbers()).toEqual(Array.from({ length: 180 }, (_, index) => index + 1))
  }, 15_000)

  test("stops sending when much is unacknowledged, and goes on", async () => {
    room.acknowledges = false
    const { outbox } = await start()
    for (let n = 0; n < 12; n++) outbox.push(text(`t${n}`, "x".repeat(800_000)))

    await vi.waitFor(() => expect(room.arrived.length).toBeGreaterThanOrEqual(5), soon)
    await outbox.settled()
    expect(room.arrived.length).toBeLessThanOrEqual(7)

    room.acknowledges = true
    room.drop()
    await stored(12)
  })

  test.each([
    ["more", 9],
    ["less", 1],
  ])(
    "a room that has %s than the outbox gave it gets a new stream with the rest",
    async (_, acked) => {
      const outbox = await openOutbox()
      for (let n = 1; n <= 3; n++) outbox.push(item(n))
      await outbox.settled()
      outbox.ack(2)
      outbox.push(item(4))
      await outbox.settled()
      const before = outbox.streamId
      room.setAcked(before, acked)

      await start({ outbox })
      outbox.push(item(5))

      await vi.waitFor(() => expect(numbers()).toContain(5), soon)
      expect(outbox.streamId).not.toBe(before)
      expect(numbers()).toEqual(acked === 9 ? [5] : [3, 4, 5])
    },
  )
})

describe("streamed text", () => {
  test("[E7] never overtakes the entry that opens it, nor falls behind the one that closes it", async () => {
    const { link, outbox } = await start()
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)

    outbox.push(text("a"))
    link.deltas([["a", 0, "Hel"]])
    link.deltas([["a", 3, "lo"]])
    outbox.push(text("a", "Hello", true))
    outbox.push(text("b"))
    link.deltas([["b", 0, "Bye"]])

    await vi.waitFor(() => expect(room.arrived).toHaveLength(5), soon)
    expect(room.arrived).toEqual([
      text("a"),
      ["a", 0, "Hello"],
      text("a", "Hello", true),
      text("b"),
      ["b", 0, "Bye"],
    ])
  })

  test("is dropped while the room is away; the welcome tells that it may be missing", async () => {
    const onWelcome = vi.fn<() => void>()
    const { link, outbox } = await start({ onWelcome })
    await vi.waitFor(() => expect(onWelcome).toHaveBeenCalledTimes(1), soon)
    room.drop()
    await vi.waitFor(() => expect(link.connected).toBe(false), soon)

    link.deltas([["a", 0, "lost"]])
    await vi.waitFor(() => expect(onWelcome).toHaveBeenCalledTimes(2), soon)
    outbox.push(item(1))

    await stored(1)
    expect(room.arrived).toEqual([item(1)])
  })

  test("a loss of the room is remembered with its time", async () => {
    const { link } = await start()
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)
    const before = performance.now()
    expect(link.lostSince(before)).toBe(false)
    room.drop()
    await vi.waitFor(() => expect(link.lostSince(performance.now())).toBe(true), soon)
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)
    expect(link.lostSince(before)).toBe(true)
    expect(link.lostSince(performance.now())).toBe(false)
  })

  test("that comes in a flood is sent in few messages, complete", async () => {
    const { link, outbox } = await start()
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)
    outbox.push(text("a"))

    for (let n = 0; n < 5_000; n++) link.deltas([["a", n, "x"]])

    const received = () =>
      room.arrived.slice(1).map((delta) => (Array.isArray(delta) ? delta[2] : ""))
    await vi.waitFor(() => expect(received().join("")).toHaveLength(5_000), soon)
    expect(received().length).toBeLessThan(50)
  })
})

describe("orders", () => {
  test("reach the runner, and an answer goes back", async () => {
    const onOrder = vi.fn<RoomLinkOptions["onOrder"]>()
    const { link } = await start({ onOrder })
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)

    room.send({ type: "ask", id: "1", ask: { name: "diff" } })
    await vi.waitFor(() => expect(onOrder).toHaveBeenCalledOnce(), soon)
    link.answer("1", { ok: true, value: { files: [] } })

    await vi.waitFor(() => expect(room.answers).toHaveLength(1), soon)
    expect(onOrder).toHaveBeenCalledWith({ type: "ask", id: "1", ask: { name: "diff" } })
  })
})

describe("a connection that fails", () => {
  test.each([CLOSE.superseded, CLOSE.ended, CLOSE.unauthorized, CLOSE.badMessage, CLOSE.tooLarge])(
    "with %i is final",
    async (code) => {
      const onFinal = vi.fn<RoomLinkOptions["onFinal"]>()
      room.refuseWith = code
      await start({ onFinal })

      await vi.waitFor(() => expect(onFinal).toHaveBeenCalledOnce(), soon)

      expect(onFinal.mock.calls[0]?.[0]).toBe(code)
      expect(room.requests).toHaveLength(1)
    },
  )

  test.each([1000, 1001, 1012, CLOSE.tooMany])("with %i is tried again", async (code) => {
    const { link } = await start()
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)

    room.drop(code)

    await vi.waitFor(() => expect(room.hellos).toHaveLength(2), soon)
  })

  test("by a network that swallows everything is noticed by the missing pong and replaced", async () => {
    const network = await blackHole(room.port)
    cleanups.push(network.close)
    const times = { openMs: 300, pingMs: 100, pongMs: 100 }
    const { link, outbox } = await start({ port: network.port, times })
    await vi.waitFor(() => expect(link.connected).toBe(true), soon)

    network.swallow(true)
    for (let n = 1; n <= 50; n++) outbox.push(item(n))
    await vi.waitFor(() => expect(link.connected).toBe(false), soon)
    network.swallow(false)

    await vi.waitFor(() => expect(outbox.acked).toBe(50), soon)
    expect(numbers()).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
  })

  test("because the room never says welcome is given up, although pings are answered", async () => {
    room.alive = false
    const { link } = await start({ times: { openMs: 150, pingMs: 50, pongMs: 50 } })

    await vi.waitFor(() => expect(room.requests.length).toBeGreaterThan(1), soon)
    room.alive = true

    await vi.waitFor(() => expect(link.connected).toBe(true), soon)
  })
})

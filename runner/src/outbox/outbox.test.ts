import { appendFile, cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { promptIdSchema } from "#protocol/ids"
import type { OutboxItem } from "#protocol/work"
import { Outbox } from "./outbox.ts"
import { type OpenFile, openForAppend } from "./segments.ts"

let home: string
const opened: Outbox[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "outbox-"))
})

afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close()
  await rm(home, { recursive: true, force: true })
})

const everything = Number.MAX_SAFE_INTEGER

function item(attempt: number): OutboxItem {
  return { report: { type: "attempt.running", promptId: promptIdSchema.parse("p"), attempt } }
}

function tool(state: "running" | "completed", output: string): OutboxItem {
  return {
    entry: {
      key: "tool",
      turnId: null,
      kind: "tool",
      name: "bash",
      title: "",
      input: {},
      state,
      output,
      truncated: false,
      bytes: output.length,
      startedAt: null,
      endedAt: null,
    },
  }
}

type Settings = { directory?: string; generation?: number; openFile?: OpenFile }

async function open({ directory = home, generation = 1, openFile }: Settings = {}) {
  const onDiskFull = vi.fn<(full: boolean) => void>()
  const outbox = await Outbox.open({
    directory,
    generation,
    onDiskFull,
    onBroken: (error) => {
      throw error
    },
    ...(openFile && { openFile }),
  })
  opened.push(outbox)
  return Object.assign(outbox, { onDiskFull })
}

async function unacknowledged(outbox: Outbox): Promise<number[]> {
  const attempts: number[] = []
  for (let from = outbox.acked + 1; from <= outbox.stored; ) {
    const lines = await outbox.read(from, outbox.stored, 200)
    for (const line of lines) attempts.push(JSON.parse(line).report.attempt)
    from += lines.length
  }
  return attempts
}

describe("what was taken", () => {
  test("is numbered from 1 without a gap and read back in order", async () => {
    const outbox = await open()

    const numbers = [1, 2, 3].map((attempt) => outbox.push(item(attempt)))
    await outbox.settled()

    expect(numbers).toEqual([1, 2, 3])
    expect(await unacknowledged(outbox)).toEqual([1, 2, 3])
  })

  test("is not offered for sending before it is on disk", async () => {
    const outbox = await open()

    outbox.push(item(1))

    expect(outbox).toMatchObject({ last: 1, stored: 0 })
    await outbox.settled()
    expect(outbox).toMatchObject({ last: 1, stored: 1 })
  })

  test("survives the process, under the same stream and the same numbers", async () => {
    const first = await open()
    for (const attempt of [1, 2, 3]) first.push(item(attempt))
    await first.close()

    const second = await open()
    second.push(item(4))
    await second.settled()

    expect(second.streamId).toBe(first.streamId)
    expect(await unacknowledged(second)).toEqual([1, 2, 3, 4])
  })

  test("is read from disk when there is more than memory keeps", async () => {
    const outbox = await open()
    const text = "x".repeat(300_000)
    for (let n = 0; n < 12; n++) outbox.push(tool("completed", `${n}${text}`))
    await outbox.settled()

    const firsts: string[] = []
    for (let from = 1; from <= 12; from++) {
      const [line] = await outbox.read(from, everything, 1)
      firsts.push(JSON.parse(line ?? "").entry.output.replaceAll("x", ""))
    }

    expect(firsts).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"])
  })
})

describe("what the room has acknowledged", () => {
  test("is not sent again and leaves the disk file by file", async () => {
    const outbox = await open()
    for (let n = 0; n < 24; n++) outbox.push(tool("completed", "x".repeat(300_000)))
    await outbox.settled()
    const [stream] = (await readdir(home)).filter((name) => name === outbox.streamId)
    const before = await readdir(join(home, stream ?? ""))

    outbox.ack(23)
    await outbox.close()

    const after = await readdir(join(home, stream ?? ""))
    expect(before.length).toBeGreaterThan(2)
    expect(after).toEqual(before.slice(-1))
    expect(outbox).toMatchObject({ acked: 23, stored: 24 })
  })

  test("keeps its numbers when everything was acknowledged before a restart", async () => {
    const first = await open()
    first.push(item(1))
    await first.settled()
    first.ack(1)
    await first.close()

    const second = await open()

    expect(second.push(item(2))).toBe(2)
    await second.settled()
  })
})

describe("streams", () => {
  test("[E1] a new generation discards a restored outbox", async () => {
    const restored = await open({ generation: 1 })
    restored.push(item(1))
    await restored.close()

    const outbox = await open({ generation: 2 })

    expect(outbox.streamId).not.toBe(restored.streamId)
    expect(await unacknowledged(outbox)).toEqual([])
    expect(outbox.push(item(1))).toBe(1)
    await outbox.close()
  })

  test("renewing numbers what is not acknowledged from 1 under a new name", async () => {
    const outbox = await open()
    for (const attempt of [1, 2, 3]) outbox.push(item(attempt))
    await outbox.settled()
    outbox.ack(1)
    const before = outbox.streamId
    outbox.push(item(4))

    await outbox.renew()
    await outbox.settled()

    expect(outbox.streamId).not.toBe(before)
    expect(outbox).toMatchObject({ acked: 0, last: 3, stored: 3 })
    await outbox.close()
    expect(await unacknowledged(await open())).toEqual([2, 3, 4])
  })

  test("a stream file that cannot be read starts a new stream", async () => {
    const first = await open()
    await first.close()
    await writeFile(join(home, "stream.json"), "{")

    expect((await open()).streamId).not.toBe(first.streamId)
  })
})

describe("a disk without room", () => {
  function fullDisk() {
    let full = false
    const openFile: OpenFile = async (path) => {
      const file = await openForAppend(path)
      return {
        async write(data, offset) {
          if (!full) return file.write(data, offset)
          await file.write(data.subarray(0, 5), 0)
          throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
        },
        datasync: () => file.datasync(),
        truncate: (bytes) => file.truncate(bytes),
        close: () => file.close(),
      }
    }
    const fill = (value: boolean) => {
      full = value
    }
    return { openFile, fill }
  }

  test("keeps what waits, says so once, leaves no torn line, and goes on when there is room", async () => {
    const { openFile, fill } = fullDisk()
    const outbox = await open({ openFile })
    outbox.push(item(1))
    await outbox.settled()

    fill(true)
    outbox.push(item(2))
    await vi.waitFor(() => expect(outbox.onDiskFull.mock.calls).toEqual([[true]]))
    outbox.push(item(3))
    expect(outbox).toMatchObject({ last: 3, stored: 1 })
    fill(false)

    await vi.waitFor(() => expect(outbox.stored).toBe(3), { timeout: 5_000 })
    await vi.waitFor(() => expect(outbox.onDiskFull.mock.calls).toEqual([[true], [false]]), {
      timeout: 5_000,
    })
    await outbox.close()
    expect(await unacknowledged(await open())).toEqual([1, 2, 3])
  })
})

describe("bounds", () => {
  test("an item too large for one message is cut, not refused", async () => {
    const outbox = await open()

    outbox.push(tool("completed", "x".repeat(3_000_000)))
    await outbox.settled()

    const [line = ""] = await outbox.read(1, 1, everything)
    expect(line.length).toBeLessThanOrEqual(900 * 1024)
    expect(JSON.parse(line).entry).toMatchObject({ state: "completed", truncated: true })
  })

  test("passing versions of a running tool are left out of a huge backlog, its end never", async () => {
    const outbox = await open()
    const large = "x".repeat(800_000)
    for (let n = 0; n < 90; n++) outbox.push(tool("completed", large))
    await outbox.settled()

    expect(outbox.push(tool("running", large))).toBeNull()
    expect(outbox.push(tool("completed", "end"))).toBe(91)
    await outbox.close()
  }, 20_000)
})

type Step = { do: "push"; count: number } | { do: "send" } | { do: "settle" } | Crash
type Crash = { do: "crash"; torn: string }

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant<"push">("push"), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant<"send">("send") }),
  fc.record({ do: fc.constant<"settle">("settle") }),
  fc.record({
    do: fc.constant<"crash">("crash"),
    torn: fc.constantFrom("", "0", '12345678 {"report":', "\u0000\u0000\n\u0000", "00000000 {}\n"),
  }),
)

test("any order of pushes, sends, acknowledgements and crashes loses nothing stored, repeats nothing and keeps order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { minLength: 3, maxLength: 25 }), async (steps) => {
      const root = await mkdtemp(join(home, "run-"))
      let life = 0
      let outbox = await open({ directory: join(root, "0") })
      let pushed = 0
      const promised = new Set<number>()
      const room: number[] = []

      for (const step of steps) {
        if (step.do === "push") {
          for (let n = 0; n < step.count; n++) outbox.push(item(++pushed))
        } else if (step.do === "settle") {
          await outbox.settled()
          for (const n of await unacknowledged(outbox)) promised.add(n)
        } else if (step.do === "send") {
          outbox.ack(room.length)
          const from = room.length + 1
          for (const line of await outbox.read(from, outbox.stored, 150)) {
            room.push(JSON.parse(line).report.attempt)
          }
        } else {
          life += 1
          const directory = join(root, String(life))
          await cp(join(root, String(life - 1)), directory, { recursive: true })
          await outbox.close()
          const stream = join(directory, outbox.streamId)
          const newest = (await readdir(stream)).sort().at(-1)
          if (newest) await appendFile(join(stream, newest), step.torn)
          outbox = await open({ directory })
        }
      }

      await outbox.settled()
      outbox.ack(room.length)
      room.push(...(await unacknowledged(outbox)))
      await outbox.close()
      await rm(root, { recursive: true })
      expect(room).toEqual([...new Set(room)].sort((a, b) => a - b))
      expect(room).toEqual(expect.arrayContaining([...promised]))
    }),
    { numRuns: 60 },
  )
}, 30_000)

import { describe, expect, test } from "vitest"
import type { Entry, EntryOf } from "./entry.ts"
import type { PromptId } from "./ids.ts"
import { applyFrame, applyPage, emptyLog, type SessionLog, sinceOf } from "./session-log.ts"
import type { ToViewerOf } from "./viewer.ts"

const EPOCH = 1_790_000_000_000

function textAt(seq: number, text: string, changes: Partial<EntryOf<"text">> = {}): Entry {
  return {
    key: "t",
    turnId: "one" as PromptId,
    kind: "text",
    text,
    done: false,
    seq,
    firstSeq: 1,
    at: "2026-11-22T12:00:00.000Z",
    ...changes,
  }
}

const statusAt = (seq: number, firstSeq = seq): Entry => ({
  key: `status:${firstSeq}`,
  turnId: null,
  kind: "status",
  status: "idle",
  reason: "",
  seq,
  firstSeq,
  at: "2026-11-22T12:00:00.000Z",
})

function frame(
  from: number,
  to: number,
  lanes: Partial<ToViewerOf<"frame">> = {},
): ToViewerOf<"frame"> {
  return { type: "frame", from, to, ...lanes }
}

function apply(log: SessionLog, ...frames: ToViewerOf<"frame">[]): SessionLog {
  return frames.reduce((held, next) => {
    const applied = applyFrame(held, next)
    if (applied === "gap") throw new Error(`a gap before ${next.from}`)
    return applied
  }, log)
}

function logOf(text: string, seq = 1): SessionLog {
  const upTo = `${EPOCH}:${seq}`
  const replaying = applyFrame(emptyLog(), {
    type: "replay",
    upTo,
    runner: "connected",
    outage: null,
  })
  if (replaying === "gap") throw new Error("a replay is no gap")
  return apply(replaying, frame(0, seq, { entries: [textAt(seq, text)] }))
}

const textOf = (log: SessionLog) => {
  const entry = log.entries.get("t")
  return entry?.kind === "text" ? entry.text : null
}

describe("[E3] cursors", () => {
  test("a log that has heard nothing asks for everything", () => {
    expect(sinceOf(emptyLog())).toBe("0:0")
  })

  test("a frame moves the cursor, also one that carries nothing", () => {
    expect(sinceOf(apply(logOf("a"), frame(1, 4)))).toBe(`${EPOCH}:4`)
  })

  test("a frame that begins beyond the cursor is a gap and changes nothing", () => {
    const log = logOf("a")
    expect(applyFrame(log, frame(2, 3, { entries: [statusAt(3)] }))).toBe("gap")
    expect(sinceOf(log)).toBe(`${EPOCH}:1`)
    expect(log.entries.size).toBe(1)
  })

  test("[I1] a frame that was applied before is harmless", () => {
    const news = frame(1, 2, { entries: [textAt(2, "ab")] })
    const log = apply(logOf("a"), news, frame(2, 3, { entries: [textAt(3, "abc")] }), news)

    expect(sinceOf(log)).toBe(`${EPOCH}:3`)
    expect(textOf(log)).toBe("abc")
  })

  test("a page of history is where the log goes on from", () => {
    const log = applyPage(emptyLog(), [statusAt(5), statusAt(9)], `${EPOCH}:12`)
    expect(sinceOf(log)).toBe(`${EPOCH}:12`)
    expect(apply(log, frame(12, 13, { entries: [statusAt(13)] })).order.length).toBe(3)
  })
})

describe("[E7] open texts", () => {
  test("grow by deltas, with overlaps cut", () => {
    const log = apply(
      logOf("Hello"),
      frame(1, 1, {
        deltas: [
          ["t", 5, " wor"],
          ["t", 7, "orld"],
        ],
      }),
    )
    expect(textOf(log)).toBe("Hello world")
  })

  test("take a new number when the room says that they have grown", () => {
    const log = apply(
      logOf("Hello"),
      frame(1, 2, { grown: [["t", 2, 5]], deltas: [["t", 5, "!"]] }),
    )
    expect(log.entries.get("t")).toMatchObject({ seq: 2, firstSeq: 1, text: "Hello!" })
  })

  test("step back to be sent again when a piece is missing", () => {
    for (const lanes of [{ deltas: [["t", 9, "ld"]] }, { grown: [["t", 5, 11]] }]) {
      const log = apply(logOf("Hello", 3), frame(3, 4))
      expect(applyFrame(log, frame(4, 5, lanes as Partial<ToViewerOf<"frame">>))).toBe("gap")
      expect(sinceOf(log)).toBe(`${EPOCH}:2`)
    }
  })

  test("ask for everything when the entry itself is missing", () => {
    const log = logOf("Hello")
    expect(applyFrame(log, frame(1, 2, { grown: [["u", 2, 5]] }))).toBe("gap")
    expect(sinceOf(log)).toBe(`${EPOCH}:0`)
  })

  test("[I6] are not shortened by a stored version, only by their end", () => {
    const streamed = apply(logOf("Hello"), frame(1, 1, { deltas: [["t", 5, " world "]] }))
    const replayed = apply(streamed, frame(1, 2, { entries: [textAt(2, "Hello wor")] }))
    expect(textOf(replayed)).toBe("Hello world ")
    const done = textAt(3, "Hello world", { done: true })
    expect(textOf(apply(replayed, frame(2, 3, { entries: [done] })))).toBe("Hello world")
  })

  test("that have ended take no more deltas", () => {
    const ended = apply(logOf("a"), frame(1, 2, { entries: [textAt(2, "ab", { done: true })] }))
    expect(textOf(apply(ended, frame(2, 2, { deltas: [["t", 2, "late"]] })))).toBe("ab")
  })
})

describe("order and change", () => {
  test("entries stand by their first number, however they arrive", () => {
    const log = applyPage(emptyLog(), [statusAt(8), statusAt(4), statusAt(6)], `${EPOCH}:9`)
    const later = apply(log, frame(9, 11, { entries: [statusAt(10, 4), statusAt(11)] }))
    expect(later.order).toEqual(["status:4", "status:6", "status:8", "status:11"])
  })

  test("an application names what it changed, each key once", () => {
    const log = logOf("a", 1)
    const next = apply(log, frame(1, 2, { grown: [["t", 2, 1]], deltas: [["t", 1, "b"]] }))
    expect(next.changed).toEqual(["t"])
    expect(apply(next, frame(2, 2)).changed).toEqual([])
  })

  test("what changed is a new entry, what did not is the same", () => {
    const log = apply(logOf("a"), frame(1, 2, { entries: [statusAt(2)] }))
    const [text, status] = [log.entries.get("t"), log.entries.get("status:2")]
    const next = apply(log, frame(2, 2, { deltas: [["t", 1, "b"]] }))

    expect(text).toMatchObject({ text: "a" })
    expect(next.entries.get("status:2")).toBe(status)
  })
})

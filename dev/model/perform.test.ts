import { describe, expect, test } from "vitest"
import { type Clock, perform, type ReplyOutput } from "./perform.ts"

/** A clock that moves only when something waits, and an output that writes down what it gets and when. */
function stage(costMs = 0) {
  const seen: string[] = []
  let nowMs = 1000
  const clock: Clock = {
    nowMs: () => nowMs,
    async sleep(ms) {
      nowMs += ms
    },
  }
  const note = async (what: string) => {
    seen.push(`${nowMs - 1000} ${what}`)
    nowMs += costMs
  }
  const output: ReplyOutput = {
    reasoning: (text) => note(`think ${text}`),
    text: (text) => note(`say ${text}`),
    call: ({ id, name, input }) => note(`call ${id} ${name} ${JSON.stringify(input)}`),
    finish: () => note("finish"),
    raw: (text) => note(`raw ${text}`),
    fail: (status) => note(`fail ${status}`),
    hang: () => note("hang"),
  }
  return { seen, clock, output }
}

describe("a performance", () => {
  test("plays thoughts, words, pauses and calls in order and ends the answer", async () => {
    const { seen, clock, output } = stage()
    await perform(
      [
        { think: "t" },
        { sleepMs: 40 },
        { say: "a" },
        {
          parallel: [
            { tool: "x", input: { n: 1 } },
            { tool: "y", input: {} },
          ],
        },
      ],
      output,
      "id",
      clock,
    )
    expect(seen).toEqual([
      "0 think t",
      "40 say a",
      '40 call call_id_0 x {"n":1}',
      "40 call call_id_1 y {}",
      "40 finish",
    ])
  })

  test("keeps to the schedule of a paced text however long each chunk takes to send", async () => {
    const { seen, clock, output } = stage(7)
    await perform([{ say: "a", repeat: 4, everyMs: 10 }], output, "id", clock)
    expect(seen).toEqual(["0 say a", "10 say a", "20 say a", "30 say a", "37 finish"])
  })

  test("catches up with the schedule after a chunk that took too long", async () => {
    const { seen, clock, output } = stage(25)
    await perform([{ say: "a", repeat: 3, everyMs: 10 }], output, "id", clock)
    expect(seen.slice(0, 3)).toEqual(["0 say a", "25 say a", "50 say a"])
  })

  test.each([
    [{ raw: "{" }, "raw {"],
    [{ httpError: 503 }, "fail 503"],
    [{ hang: true } as const, "hang"],
  ])("ends with %o and says no more", async (step, last) => {
    const { seen, clock, output } = stage()
    await perform([{ say: "a" }, step], output, "id", clock)
    expect(seen).toEqual(["0 say a", `0 ${last}`])
  })

  test("stops in the middle of a text when the client is gone", async () => {
    const { seen, clock, output } = stage()
    const text = async (said: string) => {
      if (seen.length === 3) throw new DOMException("The client is gone.", "AbortError")
      await output.text(said)
    }
    const performance = perform([{ say: "a", repeat: 100 }], { ...output, text }, "id", clock)
    await expect(performance).rejects.toThrow("The client is gone.")
    expect(seen).toHaveLength(3)
  })
})

import { afterEach, beforeEach, expect, test } from "vitest"
import { claimOf, LoopHarness } from "../testing/loop-harness.ts"
import { noAnswer, type ScriptedAgent } from "../testing/scripted-agent.ts"

let harness: LoopHarness
let agent: ScriptedAgent

beforeEach(() => {
  harness = new LoopHarness()
  agent = harness.agent
})

afterEach(() => harness.loop.close())

test("[F16] an agent that falls idle with a tool at work has not succeeded; what came is kept", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.fallBusy()
    agent.hold(messageId, "Before. ")
    const [, answer] = agent.messages
    const ids = { id: "prt_2", sessionID: "ses_1", messageID: `${messageId}~answer` }
    const state = { status: "running" as const, input: {}, metadata: {} }
    answer?.parts.push({ known: "tool", part: { ...ids, type: "tool", tool: "bash", state } })
    agent.fallIdle()
  }
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "failed", error: { reason: "agent-left-off" } }])
  expect(harness.entries).toContainEqual(expect.objectContaining({ text: "Before. ", done: true }))
  expect(harness.entries).toContainEqual(expect.objectContaining({ kind: "tool", state: "error" }))
})

test("[F3] a dying agent interrupts the turn; its text is kept and its tools are closed", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  agent.write("Half a sen")
  const tool = { id: "prt_2", sessionID: "ses_1", messageID: "msg_zz", type: "tool", tool: "bash" }
  const state = { status: "running", input: {}, metadata: { output: "so far" } }
  agent.event("message.part.updated", { part: { ...tool, state } })
  agent.die()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "interrupted", error: { reason: "agent-died" } }])
  expect(harness.entries).toContainEqual(
    expect.objectContaining({ key: "prt_1", text: "Half a sen", done: true }),
  )
  expect(harness.entries).toContainEqual(
    expect.objectContaining({ key: "prt_2", state: "error", output: "so far" }),
  )
  expect(agent.asked).toEqual([])
})

/** The agent's store after its death: a text that came whole, a tool that was done and one that was not. */
function holdFinished(messageId: string): void {
  agent.hold(messageId, "Half a sentence.")
  const [, answer] = agent.messages
  const ids = { sessionID: "ses_1", messageID: `${messageId}~answer` }
  const done = { status: "completed" as const, input: {}, metadata: {}, output: "all of it" }
  const running = { status: "running" as const, input: {}, metadata: {} }
  const tool = { ...ids, type: "tool" as const, tool: "bash" }
  answer?.parts.push({ known: "tool", part: { ...tool, id: "prt_2", state: done } })
  answer?.parts.push({ known: "tool", part: { ...tool, id: "prt_3", state: running } })
}

const shownAfterwards = [
  expect.objectContaining({ key: "prt_1", text: "Half a sentence.", done: true }),
  expect.objectContaining({ key: "prt_2", state: "completed", output: "all of it" }),
]

test("[F3][I6] what a dying agent finished unheard is shown when it is up again, before the next prompt", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  agent.write("Half a sen")
  const up = Promise.withResolvers<void>()
  agent.up = up.promise
  agent.die()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "interrupted", error: { reason: "agent-died" } }])
  holdFinished(agent.prompts[0]?.messageId ?? "")
  harness.entries.length = 0
  harness.loop.run(claimOf("p2"))
  agent.onPrompt = () => expect(harness.entries).toEqual(shownAfterwards)
  up.resolve()
  await expect.poll(() => agent.prompts).toHaveLength(2)
  expect(harness.entries).toEqual(shownAfterwards)
})

test("[F3][I6] a runner that ended before its agent was up again leaves the rest to the next", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.up = new Promise(() => undefined)
  agent.die()
  await harness.ended()
  await harness.loop.close()
  harness.entries = []
  harness.reports = []
  agent.up = Promise.resolve()
  holdFinished(agent.prompts[0]?.messageId ?? "")
  harness.loop = harness.newLoop()
  await harness.loop.recover()
  await expect.poll(() => harness.entries).toEqual(shownAfterwards)
  expect(harness.reports).toEqual([])
})

test("silence and late starts end the turn with a reason", async () => {
  const deadlines = { acceptMs: 1, startMs: 150, silenceMs: 300, turnMs: 60_000 }
  harness.loop.run(claimOf("p1", { deadlines }))
  await harness.ended()
  expect(harness.ends()).toMatchObject([
    { state: "failed", error: { reason: "agent-did-not-start" } },
  ])

  agent.onPrompt = () => agent.fallBusy()
  harness.loop.run(claimOf("p2", { deadlines }))
  await expect.poll(() => harness.ends(), { timeout: 5_000 }).toHaveLength(2)
  expect(harness.ends()[1]).toMatchObject({ state: "failed", error: { reason: "model-silent" } })
  expect(harness.entries, "[R58] the room tells why an attempt ended").toEqual([])
})

test("a retry far in the future is not waited for, nor a third one", async () => {
  const retry = (attempt: number, waitMs: number) => ({
    status: { type: "retry", attempt, message: "Too Many Requests", next: Date.now() + waitMs },
  })
  agent.onPrompt = () => agent.event("session.status", retry(1, 3_600_000))
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  agent.onPrompt = () => {
    agent.event("session.status", retry(2, 10))
    agent.event("session.status", retry(3, 10))
  }
  harness.loop.run(claimOf("p2"))
  await expect.poll(() => harness.ends().length).toBe(2)
  for (const end of harness.ends()) {
    expect(end).toMatchObject({ state: "failed", error: { reason: "model-rate-limited" } })
  }
})

test("[F1] a broker that is away, as while the rooms restart, is waited for longer than a model", async () => {
  const message =
    "Cannot connect to API: Unable to connect. Is the computer able to access the url?"
  const retry = (attempt: number) => ({
    status: { type: "retry", attempt, message, next: Date.now() },
  })
  agent.onPrompt = () => {
    for (const attempt of [1, 2, 3, 4, 5]) agent.event("session.status", retry(attempt))
    agent.fallBusy()
  }
  harness.loop.run(claimOf("p1"))
  await expect.poll(() => agent.prompts).toHaveLength(1)
  expect(harness.ends()).toEqual([])
  agent.event("session.status", retry(6))
  await harness.ended()
  const error = { reason: "broker-unreachable", message: expect.stringMatching(/^The platform's/) }
  expect(harness.ends()).toMatchObject([{ state: "failed", error }])
})

test.each([
  [true, "broker-restarted", /^The platform's model broker restarted .*demo\/chat.*retry/],
  [false, "model-broke-off", /^demo\/chat broke off/],
])(
  "[F1] a stream that breaks while the room is lost (%s) is told as %s",
  async (lost, reason, sentence) => {
    harness.isRoomLost = lost
    for (const attempt of ["p1", "p2"]) {
      agent.onPrompt = ({ messageId }) => {
        agent.fallBusy()
        agent.write("Half")
        const message = "Connection reset by server"
        const status = { type: "retry", message, next: Date.now() }
        const info = { id: `${messageId}~answer`, role: "assistant", finish: "unknown", time: {} }
        // Broken off without a word by the first prompt, after many tries by the second.
        if (attempt === "p1")
          agent.event("message.updated", { info: { ...info, sessionID: "ses_1" } })
        else agent.event("session.status", { status: { ...status, attempt: 6 } })
      }
      const before = harness.ends().length
      harness.loop.run(claimOf(attempt))
      await expect.poll(() => harness.ends().length).toBe(before + 1)
      const error = { reason, message: expect.stringMatching(sentence) }
      expect(harness.ends().at(-1)).toMatchObject({ state: "failed", error })
    }
  },
)

test("[D6] in doubt the agent is asked, and nothing is sent twice", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.hold(messageId, "It arrived.")
    agent.fallBusy()
    setTimeout(() => agent.fallIdle(), 50)
    throw noAnswer()
  }
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])

  agent.onPrompt = () => {
    agent.messages = []
    throw noAnswer()
  }
  harness.loop.run(claimOf("p2"))
  await expect.poll(() => harness.ends().length).toBe(2)
  expect(harness.ends()[1]).toMatchObject({ state: "interrupted" })
  expect(agent.prompts).toHaveLength(2)
})

test.each([
  ["says that it has not got", () => false],
  [
    "never says whether it has",
    () => {
      throw noAnswer()
    },
  ],
])(
  "[D6] an agent that %s a prompt which it did not confirm does nothing after the attempt's end",
  async (_says, hasMessage) => {
    agent.calls.hasMessage = async () => hasMessage()
    agent.onPrompt = () => {
      agent.fallBusy()
      throw noAnswer()
    }
    harness.loop.run(claimOf("p1"))
    await harness.ended()
    expect(harness.ends()).toMatchObject([
      { state: "interrupted", error: { reason: "agent-died" } },
    ])
    expect(agent.asked).toEqual(["restart"])
    expect(agent.status).toBe("idle")
  },
)

test("missed events are made up for from the agent's messages", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  agent.write("One ")
  agent.hold(agent.prompts[0]?.messageId ?? "", "One two three.")
  agent.miss()
  await expect
    .poll(() => harness.entries.at(-1))
    .toMatchObject({ text: "One two three.", done: true })
  agent.fallIdle()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
})

test("an idle agent whose last word was missed is noticed", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Done.")
  agent.status = "idle"
  agent.miss()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
})

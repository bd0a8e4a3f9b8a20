import { afterEach, beforeEach, expect, test } from "vitest"
import { claimOf, LoopHarness } from "../testing/loop-harness.ts"
import type { ScriptedAgent } from "../testing/scripted-agent.ts"

let harness: LoopHarness
let agent: ScriptedAgent

beforeEach(() => {
  harness = new LoopHarness()
  agent = harness.agent
})

afterEach(() => harness.loop.close())

/** Leaves an attempt behind as a crash would, and starts the next runner. */
async function crash(): Promise<void> {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  await harness.loop.close()
  harness.reports = []
  harness.entries = []
  agent.status = "idle"
  harness.loop = harness.newLoop()
}

test("[D6] after a crash a prompt that the agent never got is sent, with the same id", async () => {
  await crash()
  const messageId = agent.prompts[0]?.messageId
  harness.answering("Now.")
  await harness.loop.recover()
  expect(harness.loop.current()).toEqual({ promptId: "p1", attempt: 1 })
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
  expect(agent.prompts.map((prompt) => prompt.messageId)).toEqual([messageId, messageId])
})

test("[D6] after a crash a prompt that the agent has is interrupted, with what it has", async () => {
  await crash()
  agent.hold(agent.prompts[0]?.messageId ?? "", "What came.")
  await harness.loop.recover()
  await harness.ended()
  expect(harness.ends()).toMatchObject([
    { state: "interrupted", error: { reason: "runner-restarted" } },
  ])
  expect(harness.entries[0]).toMatchObject({ key: "prt_1", text: "What came.", done: true })
  expect(agent.prompts).toHaveLength(1)
})

test("[D6] after a crash a prompt that the agent works on is followed", async () => {
  await crash()
  const messageId = agent.prompts[0]?.messageId ?? ""
  agent.hold(messageId, null)
  agent.status = "busy"
  await harness.loop.recover()
  await expect.poll(() => agent.listening).toBe(1)
  agent.hold(messageId, "Done.")
  agent.fallIdle()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
})

test("[D12] a stop survives a crash", async () => {
  agent.onAbort = () => undefined
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  harness.loop.stop(claimOf("p1"))
  await harness.loop.close()
  agent.status = "idle"
  agent.hold(agent.prompts[0]?.messageId ?? "", null)
  harness.reports = []
  harness.loop = harness.newLoop()
  await harness.loop.recover()
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "stopped" }])
})

test("[D7] an attempt of an earlier generation is settled without a word", async () => {
  await harness.loop.recover()
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  await harness.loop.close()
  harness.reports = []
  harness.loop = harness.newLoop(2)
  await harness.loop.recover()
  expect(harness.loop.current()).toBeNull()
  expect(harness.reports).toEqual([])
  expect(harness.stored?.attempts.at(-1)).toMatchObject({ state: "interrupted", claim: null })
})

test("[I6] what the agent finished for an earlier generation is shown again when its outbox was lost", async () => {
  await harness.loop.recover()
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Stored by the agent alone.")
  await harness.loop.close()
  harness.reports = []
  harness.loop = harness.newLoop(2)
  await harness.loop.recover()
  expect(harness.entries).toMatchObject([
    { key: "prt_1", turnId: "p1", text: "Stored by the agent alone.", done: true },
  ])
  expect(harness.reports).toEqual([])
})

test.each([
  [true, 0],
  [false, 1],
])(
  "[I6] an ended turn of an earlier generation that was delivered (%s) gives %i entries more",
  async (isDelivered, more) => {
    harness.answering("Yes.")
    await harness.loop.recover()
    harness.loop.run(claimOf("p1"))
    await harness.ended()
    harness.entries = []
    harness.loop = harness.newLoop(2, isDelivered)
    await harness.loop.recover()
    expect(harness.entries).toHaveLength(more)
  },
)

test("all prompts share one session of the agent, also after a restart", async () => {
  harness.answering("Yes.")
  await harness.loop.recover()
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  harness.loop = harness.newLoop()
  await harness.loop.recover()
  harness.loop.run(claimOf("p2"))
  await expect.poll(() => harness.ends().length).toBe(2)
  expect(agent.prompts.map(({ sessionId }) => sessionId)).toEqual(["ses_1", "ses_1"])
})

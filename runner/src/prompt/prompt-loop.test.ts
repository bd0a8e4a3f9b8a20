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

test("a prompt is accepted, runs and succeeds; its end comes last", async () => {
  harness.answering("Hello.")
  harness.diff.files.push({
    path: "a",
    status: "added",
    additions: 1,
    deletions: 0,
    binary: false,
    patch: "+a",
  })
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(harness.types()).toEqual([
    "attempt.accepted",
    "attempt.running",
    "turn.diff",
    "attempt.ended",
  ])
  expect(harness.entries.at(-1)).toMatchObject({ key: "changes:p1", files: [{ path: "a" }] })
  expect(harness.entries.at(-2)).toMatchObject({ key: "prt_1", text: "Hello.", done: true })
  expect(agent.prompts).toMatchObject([{ model: "demo/chat", agent: "build", text: "Do it." }])
  expect(agent.listening).toBe(0)
})

test("changes that cannot be read are told, so that an earlier turn's are not taken for this one's", async () => {
  harness.answering("Done.")
  harness.readDiff = () => {
    throw new Error("fatal: not a git repository")
  }
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
  expect(harness.entries.at(-1)).toMatchObject({
    key: "error:p1:1:changes",
    reason: "changes-unreadable",
    message: expect.stringMatching(/could not be read.*earlier turn.*new session\.$/),
  })
})

test("[D6] the message's id is on disk before the agent hears of it", async () => {
  agent.onPrompt = ({ messageId }) => {
    const last = harness.stored?.attempts.at(-1)
    expect(last).toMatchObject({ messageId, state: "journalled", generation: 1 })
    expect(messageId).toMatch(/^msg_[0-9a-f]{12}[0-9A-Za-z]{14}$/)
    agent.fallBusy()
    agent.hold(messageId, "Yes.")
    agent.fallIdle()
  }
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "succeeded" }])
})

test("[D5] a known attempt is answered with its recorded state and not done again", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  harness.loop.run(claimOf("p1"))
  harness.loop.report(claimOf("p1"))
  await expect
    .poll(() => harness.types().filter((type) => type === "attempt.accepted").length)
    .toBe(3)
  agent.fallBusy()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Done.")
  agent.fallIdle()
  await harness.ended()
  harness.loop.run(claimOf("p1"))
  harness.loop.stop(claimOf("p1"))
  harness.newLoop().report(claimOf("p1"))
  expect(harness.ends()).toHaveLength(4)
  expect(new Set(harness.ends().map((end) => JSON.stringify(end))).size).toBe(1)
  expect(agent.prompts).toHaveLength(1)
})

test("[D7] another generation's prompt and a second one at the same time are refused", async () => {
  harness.loop.run(claimOf("p1", { generation: 2 }))
  expect(harness.reports).toEqual([])
  harness.loop.run(claimOf("p2"))
  harness.loop.run(claimOf("p3"))
  expect(harness.reports).toMatchObject([{ type: "attempt.accepted", promptId: "p2" }])
  expect(harness.loop.current()).toEqual({ promptId: "p2", attempt: 1 })
})

test("[D13] a retry is an attempt of its own", async () => {
  harness.answering("Yes.")
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  harness.loop.run(claimOf("p1", { attempt: 2 }))
  await expect.poll(() => harness.ends().length).toBe(2)
  expect(agent.prompts).toHaveLength(2)
  expect(agent.prompts[0]?.messageId).not.toBe(agent.prompts[1]?.messageId)
})

test("[D12] stop aborts, deletes what has no answer, and only then reports", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.hold(messageId, null)
    agent.fallBusy()
  }
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  harness.loop.stop(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "stopped", error: null }])
  expect(agent.asked).toEqual(["abort", `delete ${agent.prompts[0]?.messageId}`])
  expect(harness.entries).toEqual([])
})

test("[D12] an agent that does not heed a stop is killed", async () => {
  agent.onPrompt = () => agent.fallBusy()
  agent.onAbort = () => {
    throw noAnswer()
  }
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  harness.loop.stop(claimOf("p1"))
  await harness.ended()
  expect(agent.asked).toContain("restart")
  expect(harness.ends()).toMatchObject([{ state: "stopped" }])
})

test("[D12] a prompt that is stopped before the agent is up never reaches it", async () => {
  agent.up = new Promise(() => undefined)
  harness.loop.run(claimOf("p1"))
  harness.loop.stop(claimOf("p1"))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "stopped" }])
  expect(agent.prompts).toEqual([])
})

test("the agent's questions are rejected and said, so that no turn waits for ever", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.fallBusy()
    agent.event("permission.asked", { id: "per_1", permission: "bash", patterns: ["rm *"] })
    agent.hold(messageId, "Then not.")
    agent.fallIdle()
  }
  harness.loop.run(claimOf("p1"))
  await harness.ended()
  expect(agent.asked).toEqual(["reject per_1"])
  expect(harness.entries[0]).toMatchObject({ kind: "error", reason: "permission-rejected" })
})

test("the room gets open texts again as checkpoints", async () => {
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  agent.fallBusy()
  agent.write("Open")
  harness.entries.length = 0
  harness.loop.resend(["prt_1", "prt_unknown"])
  expect(harness.entries).toMatchObject([{ key: "prt_1", text: "Open", done: false }])
})

test("[F16] without a journal the prompt does not reach the agent", async () => {
  harness.diskFull = true
  harness.loop.run(claimOf("p1"))
  expect(harness.reports).toMatchObject([
    { type: "attempt.ended", state: "failed", error: { reason: "disk-failed" } },
  ])
  expect(agent.prompts).toEqual([])
  expect(harness.loop.current()).toBeNull()
})

test("a reason from outside ends the live attempt", async () => {
  agent.onPrompt = () => agent.fallBusy()
  harness.loop.fail({ reason: "disk-full", message: "Nothing to end." })
  harness.loop.run(claimOf("p1"))
  await harness.sent()
  harness.loop.fail({ reason: "disk-full", message: "The disk is full." })
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "failed", error: { reason: "disk-full" } }])
})

test("models that the sandbox does not know are refused", async () => {
  harness.loop.run(claimOf("p1", { model: "demo/none" }))
  await harness.ended()
  expect(harness.ends()).toMatchObject([{ state: "failed", error: { reason: "model-unknown" } }])
})

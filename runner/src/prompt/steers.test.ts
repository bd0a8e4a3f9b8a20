import { afterEach, beforeEach, expect, test } from "vitest"
import { promptIdSchema } from "#protocol/ids"
import type { Claim } from "#protocol/work"
import { AgentCallFailed } from "../agent/opencode.ts"
import { messagesSchema } from "../agent/wire.ts"
import { claimOf, LoopHarness } from "../testing/loop-harness.ts"
import { noAnswer, type ScriptedAgent } from "../testing/scripted-agent.ts"

let harness: LoopHarness
let agent: ScriptedAgent

beforeEach(() => {
  harness = new LoopHarness()
  agent = harness.agent
  agent.onPrompt = ({ messageId }) => {
    remember("user", messageId)
    agent.fallBusy()
    begin(messageId)
  }
  agent.onSteer = ({ messageId }) => remember("user", messageId)
})

afterEach(() => harness.loop.close())

const hostId = promptIdSchema.parse("host")

const host = claimOf("host", { text: "Do host." })
const steerOf = (name: string, over: Partial<Claim> = {}) =>
  claimOf(name, {
    turnId: hostId,
    text: `Do ${name}.`,
    steers: { promptId: hostId, attempt: 1 },
    ...over,
  })

const told = (name: string) =>
  harness.reports
    .filter((report) => "promptId" in report && report.promptId === name)
    .map((report) => (report.type === "attempt.ended" ? report.state : report.type.slice(8)))

/** What the room was told of an attempt, without repeats. */
const of = (name: string) => [...new Set(told(name))]
const hostEnded = () => expect.poll(() => of("host").length, { timeout: 8_000 }).toBe(3)
const given = (count: number) => expect.poll(() => agent.steers.length).toBe(count)

let ids = 0

/** Has the agent hold one more message. */
function remember(
  role: "user" | "assistant",
  id: string,
  parentID?: string,
  said = ["Yes."],
): void {
  const part = { id: `prt_${id}`, sessionID: "ses_1", messageID: id, type: "text" }
  const info = { id, sessionID: "ses_1", role, parentID, time: { completed: 1 } }
  const parts = role === "assistant" ? said.map((text) => ({ ...part, text })) : []
  agent.messages = [...agent.messages, ...messagesSchema.parse([{ info, parts }])]
}

/** The agent begins a step, in which it has read everything up to this message. */
function begin(parentID: string): void {
  ids += 1
  const id = `${parentID}~${ids}`
  remember("assistant", id, parentID)
  const info = { id, sessionID: "ses_1", role: "assistant", parentID, time: {} }
  agent.event("message.updated", { info })
}

const idOf = (index: number) => agent.steers[index]?.messageId ?? ""

async function runHost(): Promise<void> {
  harness.loop.run(host)
  await expect.poll(() => of("host")).toEqual(["accepted", "running"])
}

test("[D6][D14] a steer is journalled, accepted and given to the agent's session while its host runs", async () => {
  agent.onSteer = ({ messageId }) => {
    expect(harness.stored?.attempts.at(-1)).toMatchObject({ promptId: "s1", messageId })
    expect(of("s1")).toEqual(["accepted"])
  }
  await runHost()
  harness.loop.run(steerOf("s1"))
  harness.loop.run(steerOf("s1"))
  await given(1)
  expect(agent.steers).toMatchObject([{ sessionId: "ses_1", text: "Do s1.", model: "demo/chat" }])
  expect(idOf(0) > (agent.prompts[0]?.messageId ?? "")).toBe(true)
  expect(harness.loop.current()).toEqual({ promptId: "host", attempt: 1 })
})

test("[D14] a steer runs from the step that reads it, and ends before its host, as it does", async () => {
  await runHost()
  harness.loop.run(steerOf("s1"))
  await given(1)
  begin(agent.prompts[0]?.messageId ?? "")
  expect(of("s1")).toEqual(["accepted"])
  begin(idOf(0))
  expect(of("s1")).toEqual(["accepted", "running"])
  agent.fallIdle()
  await hostEnded()
  expect(of("s1")).toEqual(["accepted", "running", "succeeded"])
  expect(harness.reports.at(-1)).toMatchObject({ type: "attempt.ended", promptId: "host" })
  expect(agent.listening).toBe(0)
})

test("[D14] one step reads all steers before it; those come in their order", async () => {
  await runHost()
  for (const name of ["s1", "s2", "s3"]) harness.loop.run(steerOf(name))
  await given(3)
  expect(agent.steers.map(({ text }) => text)).toEqual(["Do s1.", "Do s2.", "Do s3."])
  expect([idOf(0), idOf(1), idOf(2)].toSorted()).toEqual([idOf(0), idOf(1), idOf(2)])
  begin(idOf(1))
  agent.fallIdle()
  await hostEnded()
  expect([of("s1").at(-1), of("s2").at(-1), of("s3").at(-1)]).toEqual([
    "succeeded",
    "succeeded",
    "returned",
  ])
  expect(agent.asked).toEqual([`delete ${idOf(2)}`])
})

test("[D12][D14] a stop takes unread steers from the agent and gives them back", async () => {
  await runHost()
  for (const name of ["read", "unread"]) harness.loop.run(steerOf(name))
  await given(2)
  begin(idOf(0))
  harness.loop.stop(host)
  await hostEnded()
  expect(of("host").at(-1)).toBe("stopped")
  expect(of("read")).toEqual(["accepted", "running", "stopped"])
  expect(of("unread")).toEqual(["accepted", "returned"])
  expect(agent.asked).toContain(`delete ${idOf(1)}`)
})

test("[D14] a step whose event was missed is found in the agent's messages", async () => {
  await runHost()
  harness.loop.run(steerOf("s1"))
  await given(1)
  remember("assistant", `${idOf(0)}~missed`, idOf(0))
  agent.fallIdle()
  await hostEnded()
  expect(of("s1")).toEqual(["accepted", "running", "succeeded"])
})

test("[D12][D14] a steer that a stopped step had read ends with its host, though its event was missed and no answer came", async () => {
  await runHost()
  harness.loop.run(steerOf("s1"))
  await given(1)
  const empty = `${idOf(0)}~missed`
  remember("assistant", empty, idOf(0), [])
  harness.loop.stop(host)
  await hostEnded()
  expect(of("s1")).toEqual(["accepted", "running", "stopped"])
  expect(agent.asked).toEqual(["abort", `delete ${empty}`, `delete ${idOf(0)}`])
})

test("[F3][D14] when the agent dies a read steer is interrupted, an unread one comes back", async () => {
  await runHost()
  for (const name of ["read", "unread"]) harness.loop.run(steerOf(name))
  await given(2)
  begin(idOf(0))
  agent.die()
  await hostEnded()
  expect(of("host").at(-1)).toBe("interrupted")
  expect(of("read").at(-1)).toBe("interrupted")
  expect(of("unread").at(-1)).toBe("returned")
})

test("[D14] what cannot be taken back for certain is interrupted, never returned", async () => {
  await runHost()
  harness.loop.run(steerOf("s1"))
  await given(1)
  agent.calls.deleteMessage = async () => {
    throw noAnswer()
  }
  agent.fallIdle()
  await hostEnded()
  expect(harness.reports.find(({ type }) => type === "attempt.ended")).toMatchObject({
    promptId: "s1",
    state: "interrupted",
    error: { reason: "steer-unsettled" },
  })
})

test("[D14] a steer that the agent refuses comes back at once; without an answer the agent is asked at the end", async () => {
  await runHost()
  agent.onSteer = () => {
    throw new AgentCallFailed("session.prompt", 400, "no")
  }
  harness.loop.run(steerOf("refused"))
  await expect.poll(() => of("refused")).toEqual(["accepted", "returned"])
  agent.onSteer = () => {
    throw noAnswer()
  }
  harness.loop.run(steerOf("lost"))
  harness.loop.run(steerOf("unknown", { model: "demo/none" }))
  await expect.poll(() => of("unknown")).toEqual(["accepted", "returned"])
  expect(of("lost")).toEqual(["accepted"])
  agent.fallIdle()
  await hostEnded()
  expect(of("lost")).toEqual(["accepted", "returned"])
  expect(agent.asked).toEqual([])
})

test("[D14] a steer of another attempt, or of one that is over or being stopped, is left to the room", async () => {
  harness.loop.run(steerOf("none"))
  await runHost()
  harness.loop.run(steerOf("other", { steers: { promptId: hostId, attempt: 2 } }))
  harness.loop.stop(host)
  harness.loop.run(steerOf("late"))
  await hostEnded()
  harness.loop.run(steerOf("over"))
  expect(agent.steers).toEqual([])
  expect(
    harness.reports.filter((report) => "promptId" in report && report.promptId !== "host"),
  ).toEqual([])
})

test("[D6][D14] a steer waits until the agent has its host", async () => {
  let arrive = () => undefined as undefined
  agent.up = new Promise((resolve) => {
    arrive = () => void resolve() as undefined
  })
  harness.loop.run(host)
  harness.loop.run(steerOf("s1"))
  await expect.poll(() => of("host")).toEqual(["accepted"])
  expect(agent.steers).toEqual([])
  arrive()
  await given(1)
  expect(agent.prompts).toHaveLength(1)
})

test("[F16] without a journal a steer does not reach the agent and comes back", async () => {
  await runHost()
  harness.diskFull = true
  harness.loop.run(steerOf("s1"))
  await expect.poll(() => of("s1")).toEqual(["returned"])
  expect(agent.steers).toEqual([])
})

test("[D5][D14] known steers are answered with their recorded state", async () => {
  await runHost()
  harness.loop.run(steerOf("s1"))
  await given(1)
  harness.loop.run(steerOf("s1"))
  agent.fallIdle()
  await hostEnded()
  harness.loop.run(steerOf("s1"))
  harness.loop.report(steerOf("s1"))
  expect(told("s1")).toEqual(["accepted", "accepted", "returned", "returned", "returned"])
  expect(agent.steers).toHaveLength(1)
})

test("[D6][D14] after a crash the next runner settles what was left, before its host", async () => {
  await runHost()
  for (const name of ["read", "unread"]) harness.loop.run(steerOf(name))
  await given(2)
  await harness.loop.close()
  remember("assistant", `${idOf(0)}~read`, idOf(0))
  agent.status = "idle"
  harness.reports = []
  harness.loop = harness.newLoop()
  await harness.loop.recover()
  expect(harness.loop.current()).toEqual({ promptId: "host", attempt: 1 })
  await expect.poll(() => of("host"), { timeout: 8_000 }).toEqual(["interrupted"])
  expect(of("read")).toEqual(["accepted", "running", "interrupted"])
  expect(of("unread")).toEqual(["returned"])
  expect(agent.asked).toEqual([`delete ${idOf(1)}`])
  expect(harness.stored?.attempts.every(({ claim }) => claim === null)).toBe(true)
})

import { afterAll, beforeAll, expect, test } from "vitest"
import { storableText } from "#protocol/text"
import type { Claim } from "#protocol/work"
import { AgentHarness, processesWith, scripted, until } from "./agent-harness.ts"

let harness: AgentHarness

beforeAll(async () => {
  harness = await AgentHarness.start()
})

afterAll(() => harness?.close())

const chat = { model: "demo/chat" }

test("a turn with tools ends in closed entries, and its end is reported last", async () => {
  harness.diff = {
    base: "abc",
    truncated: false,
    files: [
      { path: "a.txt", status: "added", additions: 1, deletions: 0, binary: false, patch: "+a\n" },
    ],
  }
  const claim = harness.claim(
    scripted(
      { think: "First the plan." },
      { say: "Planning." },
      {
        tool: "todowrite",
        input: { todos: [{ content: "write", status: "in_progress", priority: "high" }] },
      },
      { tool: "bash", input: { command: "echo hello from bash", description: "Say hello" } },
      {
        parallel: [
          { tool: "read", input: { filePath: "$CWD/README.md" } },
          { tool: "bash", input: { command: "exit 3", description: "Fail" } },
        ],
      },
      { say: "All done." },
    ),
    chat,
  )
  harness.loop.run(claim)
  expect(harness.loop.current()).toEqual({ promptId: claim.promptId, attempt: 1 })
  const end = await harness.ended(claim)
  expect(end).toMatchObject({ state: "succeeded", error: null })
  expect(harness.loop.current()).toBeNull()

  const entries = harness.newest(claim.turnId)
  expect(entries.map(({ kind }) => kind)).toEqual([
    "reasoning",
    "text",
    "todo",
    "tool",
    "tool",
    "tool",
    "text",
    "changes",
  ])
  for (const entry of entries) {
    if (entry.kind === "tool") expect(entry.state).toBe("completed")
    if (entry.kind === "text" || entry.kind === "reasoning") expect(entry.done).toBe(true)
  }
  const types = harness.reports.map(({ type }) => type)
  expect(types.slice(-4)).toEqual([
    "attempt.accepted",
    "attempt.running",
    "turn.diff",
    "attempt.ended",
  ])
  harness.diff = { base: "abc", files: [], truncated: false }
})

test("[I6] a text of 5,000 tokens equals the agent's own, from checkpoints and deltas alike", async () => {
  const claim = harness.claim(scripted({ say: "token 😀 and\u0000 more ", repeat: 5_000 }), chat)
  harness.deltas = []
  harness.entries = []
  harness.loop.run(claim)
  expect(await harness.ended(claim)).toMatchObject({ state: "succeeded" })
  const own = (await harness.agentTexts()).at(-1) ?? ""
  const [entry] = harness.newest(claim.turnId)
  if (entry?.kind !== "text") throw new Error("no text")
  expect(entry.text).toBe(storableText(own))
  expect(entry.text.length).toBeGreaterThan(50_000)

  const [first] = harness.entries
  if (first?.kind !== "text") throw new Error("no text")
  let streamed = first.text
  for (const [key, offset, piece] of harness.deltas) {
    if (key !== entry.key) continue
    expect(offset).toBe(streamed.length)
    streamed += piece
  }
  expect(streamed).toBe(entry.text)
  const stored = harness.entries.reduce(
    (sum, { kind, ...rest }) => sum + ("text" in rest ? String(rest.text).length : 0),
    0,
  )
  expect(stored).toBeLessThan(entry.text.length * 8)
})

test("a sub-agent's parts stand under its session, which the task names", async () => {
  const inner = scripted(
    { tool: "bash", input: { command: "echo child", description: "c" } },
    { say: "child result" },
  )
  const task = { description: "sub job", prompt: inner, subagent_type: "general" }
  const claim = harness.claim(scripted({ tool: "task", input: task }, { say: "Finished." }), chat)
  harness.loop.run(claim)
  expect(await harness.ended(claim)).toMatchObject({ state: "succeeded" })
  const entries = harness.newest(claim.turnId)
  const [first] = entries
  if (first?.kind !== "tool" || !first.childSessionId) throw new Error("no task")
  const own = entries.filter(({ key }) => key.startsWith(`${first.childSessionId}/`))
  expect(own.map(({ kind }) => kind)).toEqual(["tool", "text"])
})

test("another wire form of the broker works too", async () => {
  const end = await harness.play(scripted({ say: "Hello." }), { model: "anthropic/demo" })
  expect(end).toMatchObject({ state: "succeeded" })
})

test("[D12] stop ends a sleeping command, and nothing of it is left running", async () => {
  const marker = `sleep 98${process.pid % 1000}`
  const claim = harness.claim(
    scripted({ tool: "bash", input: { command: marker, description: "Sleep" } }),
    chat,
  )
  harness.loop.run(claim)
  await until(() =>
    harness
      .newest(claim.turnId)
      .some((entry) => entry.kind === "tool" && entry.state === "running"),
  )
  while ((await processesWith(marker)).length === 0);
  harness.loop.stop(claim)
  harness.loop.stop(claim)
  expect(await harness.ended(claim)).toMatchObject({ state: "stopped", error: null })
  expect(await processesWith(marker)).toEqual([])
  const [tool] = harness.newest(claim.turnId)
  if (tool?.kind !== "tool") throw new Error("no tool")
  expect(["completed", "error"]).toContain(tool.state)
})

test("[D12] after a stop the next prompt does not carry the one without an answer", async () => {
  const claim = harness.claim(`UNANSWERED ${scripted({ hang: true })}`, chat)
  const before = harness.requests.length
  harness.loop.run(claim)
  await until(() => harness.requests.length > before)
  harness.loop.stop(claim)
  expect(await harness.ended(claim)).toMatchObject({ state: "stopped" })
  expect(await harness.play(scripted({ say: "Next." }))).toMatchObject({ state: "succeeded" })
  expect(harness.requests.at(-1)?.includes("UNANSWERED")).toBe(false)
})

/** A claim of a prompt that joins this one's turn. */
function steering(host: Claim, text: string): Claim {
  const { promptId, attempt, turnId } = host
  return harness.claim(text, { steers: { promptId, attempt }, turnId })
}

const reportsOf = (promptId: string) =>
  harness.reports.flatMap((report) =>
    "promptId" in report && report.promptId === promptId ? [report.type] : [],
  )

const commandRuns = (turnId: string) =>
  until(() =>
    harness.newest(turnId).some((entry) => entry.kind === "tool" && entry.state === "running"),
  )

test("[D14] the model reads a steer in the next request of the running turn", async () => {
  const claim = harness.claim(
    scripted(
      { tool: "bash", input: { command: "sleep 3", description: "Sleep" } },
      { say: "With tabs, then." },
    ),
    chat,
  )
  harness.loop.run(claim)
  await commandRuns(claim.turnId)
  const before = harness.requests.length
  const steer = steering(claim, "STEERED: use tabs")
  harness.loop.run(steer)
  expect(await harness.ended(steer)).toMatchObject({ state: "succeeded", error: null })
  expect(await harness.ended(claim)).toMatchObject({ state: "succeeded", error: null })

  expect(harness.requests.length).toBe(before + 1)
  expect(harness.requests.at(-1)).toContain("STEERED: use tabs")
  const kinds = harness.newest(claim.turnId).map(({ kind }) => kind)
  expect(kinds).toEqual(["tool", "text"])
  const order = harness.reports.flatMap((report) =>
    report.type === "attempt.running" || report.type === "attempt.ended"
      ? [`${report.type} ${report.promptId}`]
      : [],
  )
  expect(order.slice(-4)).toEqual([
    `attempt.running ${claim.promptId}`,
    `attempt.running ${steer.promptId}`,
    `attempt.ended ${steer.promptId}`,
    `attempt.ended ${claim.promptId}`,
  ])
})

test("[D14] a steer that comes during the last answer gets an answer in the same turn", async () => {
  const claim = harness.claim(scripted({ say: "word ", repeat: 60, everyMs: 30 }), chat)
  harness.loop.run(claim)
  await until(() => harness.newest(claim.turnId).some(({ kind }) => kind === "text"))
  const steer = steering(claim, `STEERED LATE ${scripted({ say: "Late answer." })}`)
  harness.loop.run(steer)
  expect(await harness.ended(steer)).toMatchObject({ state: "succeeded" })
  expect(await harness.ended(claim)).toMatchObject({ state: "succeeded" })
  const texts = harness.newest(claim.turnId).filter((entry) => entry.kind === "text")
  expect(texts.at(-1)).toMatchObject({ text: "Late answer.", done: true })
  expect(texts).toHaveLength(2)
})

test("[D12][D14] a stop gives an unread steer back, and no later prompt carries it", async () => {
  const command = { command: "sleep 97", description: "Sleep" }
  const claim = harness.claim(scripted({ tool: "bash", input: command }), chat)
  harness.loop.run(claim)
  await commandRuns(claim.turnId)
  const steer = steering(claim, "UNREAD STEER")
  harness.loop.run(steer)
  await until(() => reportsOf(steer.promptId).includes("attempt.accepted"))
  harness.loop.stop(claim)
  expect(await harness.ended(claim)).toMatchObject({ state: "stopped" })
  expect(reportsOf(steer.promptId)).toEqual(["attempt.accepted", "attempt.returned"])
  expect(await harness.play(scripted({ say: "Next." }))).toMatchObject({ state: "succeeded" })
  expect(harness.requests.at(-1)).not.toContain("UNREAD STEER")
})

test.each([
  { status: 401, reason: "model-refused" },
  { status: 429, reason: "model-rate-limited" },
  { status: 500, reason: "model-unavailable" },
])(
  "a model that answers $status ends the turn as $reason",
  async ({ status, reason }) => {
    const end = await harness.play(scripted({ httpError: status }), chat)
    expect(end).toMatchObject({ state: "failed", error: { reason } })
    expect(end.error?.message).toContain("demo/chat")
  },
  60_000,
)

test("a model that hangs ends the turn as model-silent, with what it had said", async () => {
  const deadlines = { acceptMs: 1_000, startMs: 20_000, silenceMs: 1_500, turnMs: 60_000 }
  const end = await harness.play(scripted({ say: "So far. " }, { hang: true }), { deadlines })
  expect(end).toMatchObject({ state: "failed", error: { reason: "model-silent" } })
  const [text] = harness.newest(end.promptId)
  expect(text).toMatchObject({ kind: "text", text: "So far. ", done: true })
})

test("a model whose stream breaks ends the turn as model-broke-off", async () => {
  const chunk = {
    id: "x",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta: { role: "assistant", content: "partial" }, finish_reason: null }],
  }
  const raw = `data: ${JSON.stringify(chunk)}\n\n`
  const end = await harness.play(scripted({ raw }), chat)
  expect(end).toMatchObject({ state: "failed", error: { reason: "model-broke-off" } })
  const [text] = harness.newest(end.promptId)
  expect(text).toMatchObject({ kind: "text", text: "partial", done: true })
})

test("a turn that takes too long is ended", async () => {
  const deadlines = { acceptMs: 1_000, startMs: 20_000, silenceMs: 20_000, turnMs: 1_500 }
  const end = await harness.play(scripted({ say: "word ", repeat: 500, everyMs: 30 }), {
    deadlines,
  })
  expect(end).toMatchObject({ state: "failed", error: { reason: "turn-too-long" } })
})

test("an unknown model and an unknown agent are refused with a sentence", async () => {
  const model = await harness.play("hello", { model: "demo/none" })
  expect(model).toMatchObject({ state: "failed", error: { reason: "model-unknown" } })
  const agent = await harness.play("hello", { agent: "nobody" })
  expect(agent).toMatchObject({ state: "failed", error: { reason: "agent-unknown" } })
  expect(agent.error?.message).toContain("nobody")
})

test("[F3] OpenCode killed in the middle of a text: interrupted within 5 s, the text kept, history kept", async () => {
  await harness.play(`REMEMBER ME ${scripted({ say: "I will." })}`)
  harness.deltas = []
  const claim = harness.claim(scripted({ say: "word ", repeat: 2_000, everyMs: 20 }), chat)
  harness.loop.run(claim)
  await until(() => harness.deltas.filter(([key]) => key.startsWith("prt")).length > 20)
  const pid = await harness.agentPid()
  const killedAt = performance.now()
  process.kill(pid, "SIGKILL")
  expect(await harness.ended(claim)).toMatchObject({
    state: "interrupted",
    error: { reason: "agent-died" },
  })
  expect(performance.now() - killedAt).toBeLessThan(5_000)
  const [text] = harness.newest(claim.turnId)
  if (text?.kind !== "text") throw new Error("no text")
  expect(text.done).toBe(true)
  const longest = Math.max(
    ...harness.deltas
      .filter(([key]) => key === text.key)
      .map(([, offset, piece]) => offset + piece.length),
  )
  expect(text.text.length).toBeGreaterThanOrEqual(longest)

  expect(await harness.play(scripted({ say: "Back." }))).toMatchObject({ state: "succeeded" })
  expect(harness.requests.at(-1)?.includes("REMEMBER ME")).toBe(true)
})

test("[D6] a runner that comes after a crash ends what was left behind, once, and goes on", async () => {
  const claim = harness.claim(
    scripted(
      { say: "Before." },
      { tool: "bash", input: { command: "echo kept", description: "Keep" } },
      { say: "word ", repeat: 2_000, everyMs: 20 },
    ),
    chat,
  )
  harness.loop.run(claim)
  await until(() => harness.newest(claim.turnId).filter(({ kind }) => kind === "text").length > 1)
  await harness.loop.close()
  process.kill(await harness.agentPid(), "SIGKILL")
  await harness.agent.close()
  await harness.startRunner()
  expect(await harness.ended(claim)).toMatchObject({
    state: "interrupted",
    error: { reason: "runner-restarted" },
  })
  harness.loop.run(claim)
  harness.loop.report(claim)
  const ends = harness.reports.filter(
    (report) => report.type === "attempt.ended" && report.promptId === claim.promptId,
  )
  expect(ends).toHaveLength(3)
  expect(new Set(ends.map((end) => JSON.stringify(end))).size).toBe(1)
  expect(await harness.play(scripted({ say: "Again." }))).toMatchObject({ state: "succeeded" })
  expect(harness.requests.at(-1)?.includes("kept")).toBe(true)
})

import { afterEach, beforeEach, expect, test } from "vitest"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Delta } from "#protocol/runner"
import type { Claim, Diff, RunnerReport } from "#protocol/work"
import { noAnswer, ScriptedAgent } from "../testing/scripted-agent.ts"
import type { JournalRecord, PromptLoop } from "./ports.ts"
import { startPromptLoop } from "./prompt-loop.ts"

let agent: ScriptedAgent
let loop: PromptLoop
let entries: DraftEntry[]
let reports: RunnerReport[]
let deltas: Delta[]
let diff: Diff
let readDiff: () => Diff
let stored: JournalRecord | null
let writes: JournalRecord[]
let diskFull: boolean
let isRoomLost: boolean

beforeEach(() => {
  agent = new ScriptedAgent()
  entries = []
  reports = []
  deltas = []
  diff = { base: "abc", files: [], truncated: false }
  readDiff = () => diff
  stored = null
  writes = []
  diskFull = false
  isRoomLost = false
  loop = newLoop()
})

afterEach(() => loop.close())

function newLoop(generation = 1, isDelivered = true): PromptLoop {
  return startPromptLoop({
    agent,
    emit: {
      entry: (entry) => void entries.push(entry),
      report: (report) => void reports.push(report),
      deltas: (more) => void deltas.push(...more),
    },
    journal: {
      read: () => stored,
      write: (record) => {
        if (diskFull) throw new Error("ENOSPC")
        stored = structuredClone(record)
        writes.push(stored)
      },
    },
    workspace: { directory: "/workspace", changes: async () => readDiff() },
    generation,
    isDelivered,
    roomLostSince: () => isRoomLost,
    log: () => undefined,
  })
}

function claimOf(name: string, over: Partial<Claim> = {}): Claim {
  const promptId = promptIdSchema.parse(name)
  return {
    promptId,
    attempt: 1,
    generation: 1,
    turnId: promptId,
    text: "Do it.",
    author: { id: "usr_1", name: "Ada" },
    attachments: [],
    model: "demo/chat",
    agent: "build",
    deadlines: { acceptMs: 1_000, startMs: 5_000, silenceMs: 5_000, turnMs: 10_000 },
    ...over,
  }
}

const ends = () => reports.filter((report) => report.type === "attempt.ended")
const ended = () => expect.poll(ends, { timeout: 8_000 }).not.toEqual([])
const sent = () => expect.poll(() => agent.prompts.length).toBe(1)
const types = () => reports.map(({ type }) => type)

/** An agent that answers every prompt. */
function answering(text: string): void {
  agent.onPrompt = ({ messageId }) => {
    agent.fallBusy()
    agent.write(text)
    agent.hold(messageId, text)
    agent.fallIdle()
  }
}

test("a prompt is accepted, runs and succeeds; its end comes last", async () => {
  answering("Hello.")
  diff.files.push({
    path: "a",
    status: "added",
    additions: 1,
    deletions: 0,
    binary: false,
    patch: "+a",
  })
  loop.run(claimOf("p1"))
  await ended()
  expect(types()).toEqual(["attempt.accepted", "attempt.running", "turn.diff", "attempt.ended"])
  expect(entries.at(-1)).toMatchObject({ key: "changes:p1", files: [{ path: "a" }] })
  expect(entries.at(-2)).toMatchObject({ key: "prt_1", text: "Hello.", done: true })
  expect(agent.prompts).toMatchObject([{ model: "demo/chat", agent: "build", text: "Do it." }])
  expect(agent.listening).toBe(0)
})

test("changes that cannot be read are told, so that an earlier turn's are not taken for this one's", async () => {
  answering("Done.")
  readDiff = () => {
    throw new Error("fatal: not a git repository")
  }
  loop.run(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
  expect(entries.at(-1)).toMatchObject({
    key: "error:p1:1:changes",
    reason: "changes-unreadable",
    message: expect.stringMatching(/could not be read.*earlier turn.*new session\.$/),
  })
})

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
  loop.run(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "failed", error: { reason: "agent-left-off" } }])
  expect(entries).toContainEqual(expect.objectContaining({ text: "Before. ", done: true }))
  expect(entries).toContainEqual(expect.objectContaining({ kind: "tool", state: "error" }))
})

test("[D6] the message's id is on disk before the agent hears of it", async () => {
  agent.onPrompt = ({ messageId }) => {
    const last = stored?.attempts.at(-1)
    expect(last).toMatchObject({ messageId, state: "journalled", generation: 1 })
    expect(messageId).toMatch(/^msg_[0-9a-f]{12}[0-9A-Za-z]{14}$/)
    agent.fallBusy()
    agent.hold(messageId, "Yes.")
    agent.fallIdle()
  }
  loop.run(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
})

test("[D5] a known attempt is answered with its recorded state and not done again", async () => {
  loop.run(claimOf("p1"))
  await sent()
  loop.run(claimOf("p1"))
  loop.report(claimOf("p1"))
  await expect.poll(() => types().filter((type) => type === "attempt.accepted").length).toBe(3)
  agent.fallBusy()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Done.")
  agent.fallIdle()
  await ended()
  loop.run(claimOf("p1"))
  loop.stop(claimOf("p1"))
  newLoop().report(claimOf("p1"))
  expect(ends()).toHaveLength(4)
  expect(new Set(ends().map((end) => JSON.stringify(end))).size).toBe(1)
  expect(agent.prompts).toHaveLength(1)
})

test("[D7] another generation's prompt and a second one at the same time are refused", async () => {
  loop.run(claimOf("p1", { generation: 2 }))
  expect(reports).toEqual([])
  loop.run(claimOf("p2"))
  loop.run(claimOf("p3"))
  expect(reports).toMatchObject([{ type: "attempt.accepted", promptId: "p2" }])
  expect(loop.current()).toEqual({ promptId: "p2", attempt: 1 })
})

test("[D13] a retry is an attempt of its own", async () => {
  answering("Yes.")
  loop.run(claimOf("p1"))
  await ended()
  loop.run(claimOf("p1", { attempt: 2 }))
  await expect.poll(() => ends().length).toBe(2)
  expect(agent.prompts).toHaveLength(2)
  expect(agent.prompts[0]?.messageId).not.toBe(agent.prompts[1]?.messageId)
})

test("[D12] stop aborts, deletes what has no answer, and only then reports", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.hold(messageId, null)
    agent.fallBusy()
  }
  loop.run(claimOf("p1"))
  await sent()
  loop.stop(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "stopped", error: null }])
  expect(agent.asked).toEqual(["abort", `delete ${agent.prompts[0]?.messageId}`])
  expect(entries).toEqual([])
})

test("[D12] an agent that does not heed a stop is killed", async () => {
  agent.onPrompt = () => agent.fallBusy()
  agent.onAbort = () => {
    throw noAnswer()
  }
  loop.run(claimOf("p1"))
  await sent()
  loop.stop(claimOf("p1"))
  await ended()
  expect(agent.asked).toContain("restart")
  expect(ends()).toMatchObject([{ state: "stopped" }])
})

test("[D12] a prompt that is stopped before the agent is up never reaches it", async () => {
  agent.up = new Promise(() => undefined)
  loop.run(claimOf("p1"))
  loop.stop(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "stopped" }])
  expect(agent.prompts).toEqual([])
})

test("[F3] a dying agent interrupts the turn; its text is kept and its tools are closed", async () => {
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  agent.write("Half a sen")
  const tool = { id: "prt_2", sessionID: "ses_1", messageID: "msg_zz", type: "tool", tool: "bash" }
  const state = { status: "running", input: {}, metadata: { output: "so far" } }
  agent.event("message.part.updated", { part: { ...tool, state } })
  agent.die()
  await ended()
  expect(ends()).toMatchObject([{ state: "interrupted", error: { reason: "agent-died" } }])
  expect(entries).toContainEqual(
    expect.objectContaining({ key: "prt_1", text: "Half a sen", done: true }),
  )
  expect(entries).toContainEqual(
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
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  agent.write("Half a sen")
  const up = Promise.withResolvers<void>()
  agent.up = up.promise
  agent.die()
  await ended()
  expect(ends()).toMatchObject([{ state: "interrupted", error: { reason: "agent-died" } }])
  holdFinished(agent.prompts[0]?.messageId ?? "")
  entries.length = 0
  loop.run(claimOf("p2"))
  agent.onPrompt = () => expect(entries).toEqual(shownAfterwards)
  up.resolve()
  await expect.poll(() => agent.prompts).toHaveLength(2)
  expect(entries).toEqual(shownAfterwards)
})

test("[F3][I6] a runner that ended before its agent was up again leaves the rest to the next", async () => {
  loop.run(claimOf("p1"))
  await sent()
  agent.up = new Promise(() => undefined)
  agent.die()
  await ended()
  await loop.close()
  entries = []
  reports = []
  agent.up = Promise.resolve()
  holdFinished(agent.prompts[0]?.messageId ?? "")
  loop = newLoop()
  await loop.recover()
  await expect.poll(() => entries).toEqual(shownAfterwards)
  expect(reports).toEqual([])
})

test("silence and late starts end the turn with a reason", async () => {
  const deadlines = { acceptMs: 1, startMs: 150, silenceMs: 300, turnMs: 60_000 }
  loop.run(claimOf("p1", { deadlines }))
  await ended()
  expect(ends()).toMatchObject([{ state: "failed", error: { reason: "agent-did-not-start" } }])

  agent.onPrompt = () => agent.fallBusy()
  loop.run(claimOf("p2", { deadlines }))
  await expect.poll(ends, { timeout: 5_000 }).toHaveLength(2)
  expect(ends()[1]).toMatchObject({ state: "failed", error: { reason: "model-silent" } })
  expect(entries.map(({ key }) => key)).toEqual(["error:p1:1", "error:p2:1"])
})

test("a retry far in the future is not waited for, nor a third one", async () => {
  const retry = (attempt: number, waitMs: number) => ({
    status: { type: "retry", attempt, message: "Too Many Requests", next: Date.now() + waitMs },
  })
  agent.onPrompt = () => agent.event("session.status", retry(1, 3_600_000))
  loop.run(claimOf("p1"))
  await ended()
  agent.onPrompt = () => {
    agent.event("session.status", retry(2, 10))
    agent.event("session.status", retry(3, 10))
  }
  loop.run(claimOf("p2"))
  await expect.poll(() => ends().length).toBe(2)
  for (const end of ends()) {
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
  loop.run(claimOf("p1"))
  await expect.poll(() => agent.prompts).toHaveLength(1)
  expect(ends()).toEqual([])
  agent.event("session.status", retry(6))
  await ended()
  const error = { reason: "broker-unreachable", message: expect.stringMatching(/^The platform's/) }
  expect(ends()).toMatchObject([{ state: "failed", error }])
})

test.each([
  [true, "broker-restarted", /^The platform's model broker restarted .*demo\/chat.*retry/],
  [false, "model-broke-off", /^demo\/chat broke off/],
])(
  "[F1] a stream that breaks while the room is lost (%s) is told as %s",
  async (lost, reason, sentence) => {
    isRoomLost = lost
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
      const before = ends().length
      loop.run(claimOf(attempt))
      await expect.poll(() => ends().length).toBe(before + 1)
      const error = { reason, message: expect.stringMatching(sentence) }
      expect(ends().at(-1)).toMatchObject({ state: "failed", error })
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
  loop.run(claimOf("p1"))
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])

  agent.onPrompt = () => {
    agent.messages = []
    throw noAnswer()
  }
  loop.run(claimOf("p2"))
  await expect.poll(() => ends().length).toBe(2)
  expect(ends()[1]).toMatchObject({ state: "interrupted" })
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
    loop.run(claimOf("p1"))
    await ended()
    expect(ends()).toMatchObject([{ state: "interrupted", error: { reason: "agent-died" } }])
    expect(agent.asked).toEqual(["restart"])
    expect(agent.status).toBe("idle")
  },
)

test("the agent's questions are rejected and said, so that no turn waits for ever", async () => {
  agent.onPrompt = ({ messageId }) => {
    agent.fallBusy()
    agent.event("permission.asked", { id: "per_1", permission: "bash", patterns: ["rm *"] })
    agent.hold(messageId, "Then not.")
    agent.fallIdle()
  }
  loop.run(claimOf("p1"))
  await ended()
  expect(agent.asked).toEqual(["reject per_1"])
  expect(entries[0]).toMatchObject({ kind: "error", reason: "permission-rejected" })
})

test("missed events are made up for from the agent's messages", async () => {
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  agent.write("One ")
  agent.hold(agent.prompts[0]?.messageId ?? "", "One two three.")
  agent.miss()
  await expect.poll(() => entries.at(-1)).toMatchObject({ text: "One two three.", done: true })
  agent.fallIdle()
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
})

test("an idle agent whose last word was missed is noticed", async () => {
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Done.")
  agent.status = "idle"
  agent.miss()
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
})

test("the room gets open texts again as checkpoints", async () => {
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  agent.write("Open")
  entries.length = 0
  loop.resend(["prt_1", "prt_unknown"])
  expect(entries).toMatchObject([{ key: "prt_1", text: "Open", done: false }])
})

test("[F16] without a journal the prompt does not reach the agent", async () => {
  diskFull = true
  loop.run(claimOf("p1"))
  expect(reports).toMatchObject([
    { type: "attempt.ended", state: "failed", error: { reason: "disk-failed" } },
  ])
  expect(agent.prompts).toEqual([])
  expect(loop.current()).toBeNull()
})

test("a reason from outside ends the live attempt", async () => {
  agent.onPrompt = () => agent.fallBusy()
  loop.fail({ reason: "disk-full", message: "Nothing to end." })
  loop.run(claimOf("p1"))
  await sent()
  loop.fail({ reason: "disk-full", message: "The disk is full." })
  await ended()
  expect(ends()).toMatchObject([{ state: "failed", error: { reason: "disk-full" } }])
})

test("models that the sandbox does not know are refused", async () => {
  loop.run(claimOf("p1", { model: "demo/none" }))
  await ended()
  expect(ends()).toMatchObject([{ state: "failed", error: { reason: "model-unknown" } }])
})

/** Leaves an attempt behind as a crash would, and starts the next runner. */
async function crash(): Promise<void> {
  loop.run(claimOf("p1"))
  await sent()
  await loop.close()
  reports = []
  entries = []
  agent.status = "idle"
  loop = newLoop()
}

test("[D6] after a crash a prompt that the agent never got is sent, with the same id", async () => {
  await crash()
  const messageId = agent.prompts[0]?.messageId
  answering("Now.")
  await loop.recover()
  expect(loop.current()).toEqual({ promptId: "p1", attempt: 1 })
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
  expect(agent.prompts.map((prompt) => prompt.messageId)).toEqual([messageId, messageId])
})

test("[D6] after a crash a prompt that the agent has is interrupted, with what it has", async () => {
  await crash()
  agent.hold(agent.prompts[0]?.messageId ?? "", "What came.")
  await loop.recover()
  await ended()
  expect(ends()).toMatchObject([{ state: "interrupted", error: { reason: "runner-restarted" } }])
  expect(entries[0]).toMatchObject({ key: "prt_1", text: "What came.", done: true })
  expect(agent.prompts).toHaveLength(1)
})

test("[D6] after a crash a prompt that the agent works on is followed", async () => {
  await crash()
  const messageId = agent.prompts[0]?.messageId ?? ""
  agent.hold(messageId, null)
  agent.status = "busy"
  await loop.recover()
  await expect.poll(() => agent.listening).toBe(1)
  agent.hold(messageId, "Done.")
  agent.fallIdle()
  await ended()
  expect(ends()).toMatchObject([{ state: "succeeded" }])
})

test("[D12] a stop survives a crash", async () => {
  agent.onAbort = () => undefined
  loop.run(claimOf("p1"))
  await sent()
  agent.fallBusy()
  loop.stop(claimOf("p1"))
  await loop.close()
  agent.status = "idle"
  agent.hold(agent.prompts[0]?.messageId ?? "", null)
  reports = []
  loop = newLoop()
  await loop.recover()
  await ended()
  expect(ends()).toMatchObject([{ state: "stopped" }])
})

test("[D7] an attempt of an earlier generation is settled without a word", async () => {
  await loop.recover()
  loop.run(claimOf("p1"))
  await sent()
  await loop.close()
  reports = []
  loop = newLoop(2)
  await loop.recover()
  expect(loop.current()).toBeNull()
  expect(reports).toEqual([])
  expect(stored?.attempts.at(-1)).toMatchObject({ state: "interrupted", claim: null })
})

test("[I6] what the agent finished for an earlier generation is shown again when its outbox was lost", async () => {
  await loop.recover()
  loop.run(claimOf("p1"))
  await sent()
  agent.hold(agent.prompts[0]?.messageId ?? "", "Stored by the agent alone.")
  await loop.close()
  reports = []
  loop = newLoop(2)
  await loop.recover()
  expect(entries).toMatchObject([
    { key: "prt_1", turnId: "p1", text: "Stored by the agent alone.", done: true },
  ])
  expect(reports).toEqual([])
})

test.each([
  [true, 0],
  [false, 1],
])(
  "[I6] an ended turn of an earlier generation that was delivered (%s) gives %i entries more",
  async (isDelivered, more) => {
    answering("Yes.")
    await loop.recover()
    loop.run(claimOf("p1"))
    await ended()
    entries = []
    loop = newLoop(2, isDelivered)
    await loop.recover()
    expect(entries).toHaveLength(more)
  },
)

test("all prompts share one session of the agent, also after a restart", async () => {
  answering("Yes.")
  await loop.recover()
  loop.run(claimOf("p1"))
  await ended()
  loop = newLoop()
  await loop.recover()
  loop.run(claimOf("p2"))
  await expect.poll(() => ends().length).toBe(2)
  expect(agent.prompts.map(({ sessionId }) => sessionId)).toEqual(["ses_1", "ses_1"])
})

import { expect, test } from "vitest"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import { messagesSchema } from "../agent/wire.ts"
import { ScriptedAgent } from "../testing/scripted-agent.ts"
import { Turn } from "./turn.ts"

const answer = { messageID: "msg_2", sessionID: "ses_1" }
const opened = { ...answer, id: "prt_1", type: "text", time: { start: 1 } }

function followed(agent: ScriptedAgent, entries: DraftEntry[]): Turn {
  return new Turn({
    agent,
    emit: { entry: (entry) => void entries.push(entry), report: () => {}, deltas: () => {} },
    workspace: { directory: "/workspace" },
    log: () => undefined,
    attempt: {
      promptId: promptIdSchema.parse("p1"),
      attempt: 1,
      turnId: promptIdSchema.parse("p1"),
      messageId: "msg_1",
    },
    sessionId: "ses_1",
    model: "demo/chat",
    deadlines: { acceptMs: 1_000, startMs: 5_000, silenceMs: 5_000, turnMs: 10_000 },
    roomLostSince: () => false,
  })
}

test("[I6] a piece that is heard after the agent's messages have told it is not shown twice", async () => {
  const agent = new ScriptedAgent()
  const entries: DraftEntry[] = []
  const turn = followed(agent, entries)
  const piece = (delta: string) =>
    agent.event("message.part.delta", { ...answer, partID: "prt_1", field: "text", delta })
  agent.event("message.part.updated", { part: { ...opened, text: "" } })
  piece("One ")
  const info = { id: "msg_2", sessionID: "ses_1", role: "assistant", parentID: "msg_1", time: {} }
  agent.messages = messagesSchema.parse([{ info, parts: [{ ...opened, text: "One two " }] }])
  const comparison = turn.resync()
  piece("two ")
  await comparison
  piece("two ")
  turn.closeTexts()
  turn.dispose()
  expect(entries.at(-1)).toMatchObject({ key: "prt_1", text: "One two ", done: true })
})

test("[D10] what a comparison brings after the turn's end is left to the next one", async () => {
  const agent = new ScriptedAgent()
  const entries: DraftEntry[] = []
  const turn = followed(agent, entries)
  agent.event("message.part.updated", { part: { ...opened, text: "" } })
  const info = { id: "msg_2", sessionID: "ses_1", role: "assistant", parentID: "msg_1", time: {} }
  agent.messages = messagesSchema.parse([{ info, parts: [{ ...opened, text: "One two " }] }])
  const comparison = turn.resync()
  agent.event("message.part.delta", { ...answer, partID: "prt_1", field: "text", delta: "two " })
  turn.closeTexts()
  turn.dispose()
  const { state } = turn
  const shown = entries.length
  await comparison
  expect(entries.length).toBe(shown)
  expect(turn.state).toBe(state)
})

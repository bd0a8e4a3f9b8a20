import { expect, test } from "vitest"
import type { AgentMessage } from "../agent/wire.ts"
import { unanswered } from "./unanswered.ts"

const session = "ses_1"
const user = (id: string): AgentMessage => ({
  info: { id, sessionID: session, role: "user", time: {} },
  parts: [],
})

function answer(id: string, parentID: string, text: string | null): AgentMessage {
  const part = { id: `prt_${id}`, sessionID: session, messageID: id, type: "text" as const }
  return {
    info: { id, sessionID: session, role: "assistant", parentID, time: {} },
    parts: text === null ? [] : [{ known: "text", part: { ...part, text } }],
  }
}

test("[D12] only messages without any answer are named, after the empty answers to them", () => {
  const messages = [
    user("u1"),
    answer("a1", "u1", null),
    answer("a2", "u1", "Yes."),
    user("u2"),
    answer("a3", "u2", ""),
    user("u3"),
  ]
  expect(unanswered(messages)).toEqual(["a3", "u2", "u3"])
})

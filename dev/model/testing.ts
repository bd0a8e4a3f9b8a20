import type { ReplyHead, ReplyPart } from "./wire.ts"

/** The data of server-sent events: parsed where it is JSON. */
export function parseFrames(text: string): unknown[] {
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((frame) => {
      const data = /^data: (.*)$/m.exec(frame)?.[1] ?? ""
      return data.startsWith("{") ? JSON.parse(data) : data
    })
}

export const sampleHead: ReplyHead = {
  id: "id",
  model: "demo",
  createdAtSeconds: 7,
  inputTokens: 12,
}

const calls = [
  { id: "c1", name: "bash", input: { a: 1 } },
  { id: "c2", name: "read", input: {} },
]

const all: ReplyPart[] = [
  { type: "reasoning", text: "hm" },
  { type: "text", text: "Hello" },
  ...calls.map((call): ReplyPart => ({ type: "call", call })),
]

export const sampleParts = { calls, all }

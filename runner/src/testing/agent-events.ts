import { readFileSync } from "node:fs"
import { expect } from "vitest"
import * as z from "zod"
import { type DraftEntry, draftEntrySchema } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Delta } from "#protocol/runner"
import { type Signal, translate } from "../agent/translate.ts"
import { startTurnState, type TurnState } from "../agent/turn-state.ts"
import { type AgentEvent, decodeEvent, messagesSchema } from "../agent/wire.ts"

export const turnId = promptIdSchema.parse("prm_1")

const headSchema = z.object({
  sessionId: z.string(),
  messageId: z.string(),
  messages: z.record(z.string(), messagesSchema),
})

export function fixture(name: string) {
  const path = new URL(`../agent/fixtures/${name}.jsonl`, import.meta.url)
  const [first = "", ...lines] = readFileSync(path, "utf8").trim().split("\n")
  const events = lines.map((line) => {
    const { atMs, item } = z.object({ atMs: z.number(), item: z.unknown() }).parse(JSON.parse(line))
    const decoded = decodeEvent(item)
    if (decoded.kind === "unreadable") throw new Error(decoded.reason)
    return { atMs, event: decoded.kind === "event" ? decoded.event : null }
  })
  return { ...headSchema.parse(JSON.parse(first)), events }
}

/** Plays a recorded turn as the prompt loop would, and keeps a reader's copy of its entries. */
export function play(name: string) {
  const { sessionId, messageId, messages, events } = fixture(name)
  const reader = new Reader()
  let state = startTurnState(turnId, sessionId, messageId)
  const signals: Signal[] = []
  for (const { atMs, event } of events) {
    if (!event) continue
    const step = translate(state, event, atMs)
    state = step.state
    reader.take(step)
    signals.push(...step.signals)
  }
  return { state, reader, signals, sessionId, messages }
}

/** Holds what the room would: entries by key, texts grown by deltas. */
export class Reader {
  readonly entries = new Map<string, DraftEntry>()
  readonly versions: DraftEntry[] = []

  take({ entries, deltas }: { entries: DraftEntry[]; deltas: Delta[] }): void {
    for (const [key, offset, piece] of deltas) {
      const entry = this.entries.get(key)
      if (entry?.kind !== "text" && entry?.kind !== "reasoning") throw new Error(`no text ${key}`)
      expect(offset).toBe(entry.text.length)
      expect(piece.isWellFormed()).toBe(true)
      this.entries.set(key, { ...entry, text: entry.text + piece })
    }
    for (const entry of entries) {
      draftEntrySchema.parse(entry)
      const before = this.entries.get(entry.key)
      if (entry.kind === "text" && before?.kind === "text" && !entry.done) {
        expect(entry.text.startsWith(before.text)).toBe(true)
      }
      this.entries.set(entry.key, entry)
      this.versions.push(entry)
    }
  }

  get list(): DraftEntry[] {
    return [...this.entries.values()]
  }
}

export const part = (id: string, more: object) => ({
  id,
  sessionID: "ses_1",
  messageID: "msg_2",
  ...more,
})

export function event(type: string, properties: object): AgentEvent {
  const decoded = decodeEvent({
    payload: { type, properties: { sessionID: "ses_1", ...properties } },
  })
  if (decoded.kind !== "event") throw new Error(`${type} is no event`)
  return decoded.event
}

export const updated = (of: object) => event("message.part.updated", { part: of })

export const toolPart = (status: string, state: object) =>
  updated(part("prt_t", { type: "tool", tool: "bash", state: { status, input: {}, ...state } }))

export const fresh = (): TurnState => startTurnState(turnId, "ses_1", "msg_1")

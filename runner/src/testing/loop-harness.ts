import { expect } from "vitest"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Claim, Diff, RunnerReport } from "#protocol/work"
import type { JournalRecord, PromptLoop } from "../prompt/ports.ts"
import { startPromptLoop } from "../prompt/prompt-loop.ts"
import { ScriptedAgent } from "./scripted-agent.ts"

/** A prompt loop between a scripted agent, a journal in memory and a room that only listens. */
export class LoopHarness {
  readonly agent = new ScriptedAgent()
  readonly diff: Diff = { base: "abc", files: [], truncated: false }
  entries: DraftEntry[] = []
  reports: RunnerReport[] = []
  stored: JournalRecord | null = null
  diskFull = false
  isRoomLost = false
  readDiff: () => Diff = () => this.diff
  loop = this.newLoop()

  /** One more loop on the same agent and journal. */
  newLoop(generation = 1, isDelivered = true): PromptLoop {
    return startPromptLoop({
      agent: this.agent,
      emit: {
        entry: (entry) => void this.entries.push(entry),
        report: (report) => void this.reports.push(report),
        deltas: () => undefined,
      },
      journal: {
        read: () => this.stored,
        write: (record) => {
          if (this.diskFull) throw new Error("ENOSPC")
          this.stored = structuredClone(record)
        },
      },
      workspace: { directory: "/workspace", changes: async () => this.readDiff() },
      generation,
      isDelivered,
      roomLostSince: () => this.isRoomLost,
      log: () => undefined,
    })
  }

  /** Has the agent answer every prompt. */
  answering(text: string): void {
    const { agent } = this
    agent.onPrompt = ({ messageId }) => {
      agent.fallBusy()
      agent.write(text)
      agent.hold(messageId, text)
      agent.fallIdle()
    }
  }

  ends() {
    return this.reports.filter((report) => report.type === "attempt.ended")
  }

  types(): RunnerReport["type"][] {
    return this.reports.map(({ type }) => type)
  }

  async ended(): Promise<void> {
    await expect.poll(() => this.ends(), { timeout: 8_000 }).not.toEqual([])
  }

  async sent(): Promise<void> {
    await expect.poll(() => this.agent.prompts.length).toBe(1)
  }
}

export function claimOf(name: string, over: Partial<Claim> = {}): Claim {
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

import {
  type Author,
  type ChangedFile,
  changesKey,
  type DraftEntryOf,
  type Entry,
  promptKey,
} from "#protocol/entry"
import { type PromptId, promptIdSchema } from "#protocol/ids"
import { ASKS, PATHS, SAYINGS, SUMMARIES, THOUGHTS, TODO_ITEMS } from "./prose.ts"
import type { Random } from "./random.ts"
import type { SeedLog } from "./seed-log.ts"
import { toolCall } from "./tools.ts"

export type Turn = {
  promptId: string
  text: string
  startedAt: Date
  endedAt: Date | null
  files: ChangedFile[]
}

/** Writes turns of one author into a log. */
export class TurnWriter {
  readonly #log: SeedLog
  readonly #random: Random
  readonly #author: Author
  #parts = 0

  constructor(log: SeedLog, random: Random, author: Author) {
    this.#log = log
    this.#random = random
    this.#author = author
  }

  /** A turn that succeeded, until the log holds `length` entries. */
  finished(promptId: string, length: number): Turn {
    const turn = this.#open(promptId)
    const log = this.#log
    while (log.entries.length < length - 2) this.#step(turn.id)
    log.pass(4)
    this.#text("text", turn.id, this.#random.pick(SUMMARIES))
    const files = changedFiles(this.#random)
    log.append({ kind: "changes", key: changesKey(turn.id), turnId: turn.id, files })
    log.replace(turn.entry, { ...turn.draft, state: "succeeded" })
    return { ...turn.row, endedAt: log.now, files }
  }

  /** A turn in the middle: a text that still grows and a command that still runs. */
  running(promptId: string): Turn {
    const turn = this.#open(promptId)
    this.#text("reasoning", turn.id, this.#random.pick(THOUGHTS))
    for (let step = 0; step < 5; step++) this.#step(turn.id)
    this.#tool(turn.id, "running")
    const text = "The suite runs once more, then I will sum"
    this.#log.append({ kind: "text", key: this.#partKey(), turnId: turn.id, text, done: false }, 2)
    return { ...turn.row, endedAt: null, files: [] }
  }

  #open(promptId: string) {
    const id = promptIdSchema.parse(promptId)
    const text = this.#random.pick(ASKS)
    const draft: DraftEntryOf<"prompt"> = {
      kind: "prompt",
      key: promptKey(id),
      turnId: id,
      promptId: id,
      attempt: 1,
      text,
      author: this.#author,
      attachments: [],
      state: "running",
      error: null,
    }
    const entry: Entry = this.#log.append(draft)
    return { id, draft, entry, row: { promptId, text, startedAt: this.#log.now } }
  }

  #step(turnId: PromptId): void {
    this.#log.pass(this.#random.int(1, 8))
    const dice = this.#random.next()
    if (dice < 0.15) this.#text("reasoning", turnId, this.#random.pick(THOUGHTS))
    else if (dice < 0.35) this.#text("text", turnId, this.#random.pick(SAYINGS))
    else if (dice < 0.38) this.#todo(turnId)
    else this.#tool(turnId)
  }

  #text(kind: "text" | "reasoning", turnId: PromptId, text: string): void {
    const versions = 1 + Math.ceil(text.length / 1_024)
    this.#log.append({ kind, key: this.#partKey(), turnId, text, done: true }, versions)
  }

  #todo(turnId: PromptId): void {
    const done = this.#random.int(0, TODO_ITEMS.length)
    const items = TODO_ITEMS.map((text, index) => ({
      text,
      state: index < done ? "completed" : index === done ? "in_progress" : "pending",
    }))
    this.#log.append({ kind: "todo", key: this.#partKey(), turnId, items })
  }

  #tool(turnId: PromptId, state?: "running"): void {
    const call = toolCall(this.#random)
    const startedAt = this.#log.now.toISOString()
    this.#log.pass(this.#random.int(1, 6))
    this.#log.append(
      {
        kind: "tool",
        key: this.#partKey(),
        turnId,
        ...call,
        state: state ?? call.state,
        truncated: false,
        bytes: Buffer.byteLength(call.output),
        startedAt,
        endedAt: state ? null : this.#log.now.toISOString(),
      },
      3,
    )
  }

  #partKey(): string {
    this.#parts += 1
    return `prt_seed${String(this.#parts).padStart(6, "0")}`
  }
}

function changedFiles(random: Random): ChangedFile[] {
  const paths = new Set(Array.from({ length: random.int(1, 4) }, () => random.pick(PATHS)))
  return [...paths].sort().map((path) => ({
    path,
    status: random.pick(["modified", "modified", "added"]),
    additions: random.int(1, 80),
    deletions: random.int(0, 30),
  }))
}

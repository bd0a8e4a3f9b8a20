import type { Author, Failure } from "#protocol/entry"
import type { BootPhase, Diff } from "#protocol/work"
import type { Prisma } from "../generated/client.ts"
import { ASKS } from "./prose.ts"
import { Random } from "./random.ts"
import { SeedLog } from "./seed-log.ts"
import { type Turn, TurnWriter } from "./turn.ts"

const MODEL = "scripted/demo"
const AGENT = "build"
const HASH = "0".repeat(64)
const BASE_COMMIT = "5eed".repeat(10)
const PHASES = ["machine", "clone", "agent", "warm-up"] as const

export type SessionRows = {
  session: Prisma.SessionUncheckedCreateInput
  prompts: Prisma.PromptCreateManyInput[]
  attempts: Prisma.AttemptCreateManyInput[]
  sandboxes: Prisma.SandboxCreateManyInput[]
  usage: Prisma.UsageCreateManyInput[]
  diffs: Prisma.TurnDiffCreateManyInput[]
  log: SeedLog
}

/** Tells the life of one session, step by step, as rows that agree with each other. */
export class SessionDraft {
  readonly log: SeedLog
  readonly #name: string
  readonly #teamId: string
  readonly #title: string
  readonly #createdAt: Date
  readonly #author: Author
  readonly #random: Random
  readonly #turns: TurnWriter
  readonly #prompts: Prisma.PromptCreateManyInput[] = []
  readonly #attempts: Prisma.AttemptCreateManyInput[] = []
  readonly #sandboxes: Prisma.SandboxCreateManyInput[] = []
  readonly #usage: Prisma.UsageCreateManyInput[] = []
  #diff: Prisma.TurnDiffCreateManyInput | undefined
  #endedAt: Date | null = null

  constructor(about: {
    /** Lower-case letters and digits; the ids derive from it. */
    name: string
    teamId: string
    title: string
    author: Author
    startMs: number
  }) {
    this.#name = about.name
    this.#teamId = about.teamId
    this.#title = about.title
    this.#author = about.author
    this.log = new SeedLog(about.startMs)
    this.#createdAt = this.log.now
    this.#random = new Random(about.name.length * 7_919 + about.name.charCodeAt(0))
    this.#turns = new TurnWriter(this.log, this.#random, about.author)
  }

  get id(): string {
    return `ses_${this.#name.padStart(16, "0")}`
  }

  /** A prompt that waits. */
  asks(): void {
    this.#prompts.push({
      ...this.#promptRow(this.#random.pick(ASKS), this.log.now),
      state: "queued",
    })
  }

  /** The next sandbox begins to start and is in `phase`. */
  boots(phase: BootPhase, status: "booting" | "waking", reason: string): void {
    this.log.pass(1)
    const at = this.log.now
    this.#sandboxes.push({
      sessionId: this.id,
      generation: this.#sandboxes.length + 1,
      provider: "seed",
      state: "starting",
      linkSince: at,
      phases: phasesUntil(phase, at, null),
      createdAt: at,
      startedAt: at,
    })
    this.log.status(status, reason)
  }

  /** The starting sandbox is ready and its runner connected. */
  ready(): void {
    this.log.pass(9)
    const at = this.log.now
    this.#changeSandbox({
      state: "ready",
      link: "connected",
      linkSince: at,
      phases: phasesUntil(null, this.#createdAt, null),
      readyAt: at,
    })
  }

  /** A turn that fills the log up to `length` entries and ends well. */
  turn(length: number): void {
    this.log.status("working", "Works on a prompt.")
    const turn = this.#turns.finished(this.#nextPromptId(), length - 1)
    this.#addAttempt(turn)
    this.#addUsage(turn)
    this.#diff = {
      sessionId: this.id,
      turnId: turn.promptId,
      seq: this.log.seq,
      base: BASE_COMMIT,
      files: turn.files.map(withPatch),
      truncated: false,
      at: this.log.now,
    }
    this.log.status("idle", "Waits for the next prompt.")
    this.log.pass(this.#random.int(20, 90))
  }

  /** A turn that has not ended. */
  worksOn(): Turn {
    this.log.status("working", "Works on a prompt.")
    const turn = this.#turns.running(this.#nextPromptId())
    this.#addAttempt(turn)
    return turn
  }

  /** The sandbox goes, for good or with a reason. */
  stops(error: Failure | null = null, phase: BootPhase | null = null): void {
    const at = this.log.now
    this.#changeSandbox({
      state: "stopped",
      link: "absent",
      linkSince: at,
      stoppedAt: at,
      ...(error && { error, phases: phasesUntil(phase, this.#createdAt, error) }),
    })
  }

  ends(): void {
    this.#endedAt = this.log.now
  }

  rows(): SessionRows {
    const { statuses, entries, seq } = this.log
    const last = statuses.at(-1)
    const spent = this.#usage.reduce((sum, { costMicros }) => sum + BigInt(costMicros), 0n)
    return {
      session: {
        id: this.id,
        teamId: this.#teamId,
        createdById: this.#author.id,
        title: this.#title,
        repoUrl: "https://github.com/example/shop",
        branch: entries.length > 2 ? "main" : null,
        baseCommit: this.#sandboxes.some(({ readyAt }) => readyAt) ? BASE_COMMIT : null,
        model: MODEL,
        agent: AGENT,
        requestHash: HASH,
        status: last?.status,
        statusReason: last?.reason ?? "",
        statusSince: last?.at ?? this.#createdAt,
        statusVersion: statuses.length,
        announcedStatus: statuses.length,
        generation: this.#sandboxes.length,
        epoch: this.#createdAt.getTime(),
        ingestedSeq: seq,
        costMicros: spent,
        createdAt: this.#createdAt,
        lastActivityAt: this.log.now,
        endedAt: this.#endedAt,
      },
      prompts: this.#prompts,
      attempts: this.#attempts,
      sandboxes: this.#sandboxes,
      usage: this.#usage,
      diffs: this.#diff ? [this.#diff] : [],
      log: this.log,
    }
  }

  #nextPromptId(): string {
    return `prm_seed_${this.#name}_${this.#prompts.length + 1}`
  }

  #promptRow(text: string, at: Date) {
    return {
      id: this.#nextPromptId(),
      sessionId: this.id,
      authorId: this.#author.id,
      text,
      mode: "queue" as const,
      model: MODEL,
      agent: AGENT,
      position: this.#prompts.length + 1,
      bodyHash: HASH,
      createdAt: at,
    }
  }

  #addAttempt({ text, promptId, startedAt, endedAt }: Turn): void {
    const state = endedAt ? ("succeeded" as const) : ("running" as const)
    this.#prompts.push({
      ...this.#promptRow(text, startedAt),
      state,
      attempt: 1,
      startedAt,
      endedAt,
    })
    this.#attempts.push({
      promptId,
      number: 1,
      sessionId: this.id,
      generation: this.#sandboxes.length,
      steer: false,
      state,
      createdAt: startedAt,
      acceptedAt: startedAt,
      startedAt,
      endedAt,
    })
  }

  #addUsage({ promptId }: Turn): void {
    const inputTokens = this.#random.int(4_000, 60_000)
    const outputTokens = this.#random.int(200, 4_000)
    this.#usage.push({
      callId: `call_seed_${promptId}`,
      sessionId: this.id,
      promptId,
      attempt: 1,
      model: MODEL,
      inputTokens,
      outputTokens,
      cachedInputTokens: Math.floor(inputTokens / 2),
      costMicros: inputTokens + 5 * outputTokens,
      at: this.log.now,
    })
  }

  #changeSandbox(change: Partial<Prisma.SandboxCreateManyInput>): void {
    const newest = this.#sandboxes.at(-1)
    if (newest) Object.assign(newest, change)
  }
}

/** The boot's phases up to the one that runs (or failed); all of them when none does. */
function phasesUntil(current: BootPhase | null, at: Date, error: Failure | null) {
  const count = current === null ? PHASES.length : PHASES.indexOf(current) + 1
  return PHASES.slice(0, count).map((phase, index) => ({
    phase,
    state: phase !== current ? "done" : error ? "failed" : "running",
    startedAt: new Date(at.getTime() + index * 2_000).toISOString(),
    durationMs: phase === current ? 400 : 2_000,
    detail: "",
    error: phase === current ? error : null,
  }))
}

function withPatch(file: Turn["files"][number]): Diff["files"][number] {
  const { path, additions, deletions } = file
  const lines = [
    ...Array.from({ length: deletions }, (_, n) => `-const before${n} = round(${n})`),
    ...Array.from({ length: additions }, (_, n) => `+const after${n} = total(${n})`),
  ]
  const header = `--- a/${path}\n+++ b/${path}\n@@ -1,${deletions} +1,${additions} @@`
  return { ...file, binary: false, patch: `${header}\n${lines.join("\n")}\n` }
}

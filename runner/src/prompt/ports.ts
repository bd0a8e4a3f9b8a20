import type { DraftEntry, Failure } from "#protocol/entry"
import type { Delta } from "#protocol/runner"
import type { AttemptRef, Claim, Diff, RunnerReport, TerminalState } from "#protocol/work"

/** The way to the room. Entries and reports are durable and keep their order; deltas may be lost. */
export type Emit = {
  /** Returns at once; the outbox stores the entry before it is sent. */
  entry(draft: DraftEntry): void
  report(report: RunnerReport): void
  deltas(deltas: Delta[]): void
}

/** What the prompt loop needs of the workspace. */
export type Workspace = {
  /** Absolute path of the checkout. */
  directory: string
  /** Everything that differs from the turn's base, untracked files included. */
  changes(): Promise<Diff>
}

export type AttemptRecord = AttemptRef & {
  generation: number
  turnId: Claim["turnId"]
  /** Id of the agent's user message, minted here; known before the agent is asked. */
  messageId: string
  /** `journalled` until the agent took the prompt, then `running`, then how it ended; `returned` is for steers. */
  state: "journalled" | "running" | "returned" | TerminalState
  error: Failure | null
  /** Kept while the attempt lives, so that it can be sent or followed after a restart. */
  claim: Claim | null
  stopRequested: boolean
}

/** All that the runner must know after a crash. Attempts stand oldest first; one may be alive, with its steers. */
export type JournalRecord = {
  /** The agent's session that all prompts of our session share. */
  agentSessionId: string | null
  attempts: AttemptRecord[]
  /** The changes that were told last may name files. */
  toldChanges: boolean
}

export type Journal = {
  read(): JournalRecord | null
  /** Returns when the record is on disk. After a crash either the old or the new record is read. */
  write(record: JournalRecord): void
}

/** One attempt at a time, with its steers, from the room's `run` to the terminal report. Nothing here throws for what the room sends. */
export type PromptLoop = {
  /** Starts the attempt, adds it to the one it steers, or answers a known one with its recorded state. */
  run(claim: Claim): void
  stop(attempt: AttemptRef): void
  /** Ends the live attempt as failed for a reason outside of the agent, such as a full disk; nothing when none is live. */
  fail(error: Failure): void
  /** Reports the recorded state again. */
  report(attempt: AttemptRef): void
  /** Emits the open texts of these entries as checkpoints. */
  resend(keys: string[]): void
  /** Settles the attempt that an earlier runner left behind. Called once, after the agent is up, before the first hello. */
  recover(): Promise<void>
  /** The attempt that has not ended yet: what `hello` names. */
  current(): AttemptRef | null
  /** Stops following; the attempt stays journalled for the next runner. */
  close(): Promise<void>
}

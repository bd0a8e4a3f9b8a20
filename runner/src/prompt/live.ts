import type { Claim } from "#protocol/work"
import type { Agent } from "../agent/agent.ts"
import type { Log } from "../log.ts"
import type { AttemptRecord, Emit, Journal, Workspace } from "./ports.ts"
import type { Steers } from "./steers.ts"
import type { Outcome, Turn } from "./turn.ts"

export type PromptLoopOptions = {
  agent: Agent
  emit: Emit
  journal: Journal
  workspace: Workspace
  generation: number
  /** The last runner of an earlier generation ended with nothing owed to the room. */
  isDelivered: boolean
  /** Whether the room was out of reach at any time since then, on the clock of `performance.now()`. */
  roomLostSince(atMs: number): boolean
  log: Log
}

/** The attempt that has not ended, and the ways to reach it. */
export type Live = {
  attempt: AttemptRecord & { claim: Claim }
  /** Ends it early; the reason says how. */
  cut(outcome: Cut): void
  isCut: Promise<Cut>
  turn: Turn | null
  steers: Steers
}

/** Ends that come from outside of the turn. */
export type Cut = Extract<Outcome, { type: "stop" | "failed" }>

import { setTimeout as sleep } from "node:timers/promises"
import type { Failure } from "#protocol/entry"
import type { AttemptRef, Claim, TerminalState } from "#protocol/work"
import type { Agent } from "../agent/agent.ts"
import type { AgentMessage } from "../agent/wire.ts"
import { DISK_FULL, isDiskFull } from "../disk-full.ts"
import type { Log } from "../log.ts"
import { endWork } from "./end-work.ts"
import { errorFailure, failure } from "./failures.ts"
import { type ReportChangesOptions, reportChanges } from "./report-changes.ts"
import type { Outcome, Turn } from "./turn.ts"

const completeMs = 3_000
const stopMs = 5_000
const pollMs = 50

export type Ending = { state: TerminalState; error: Failure | null }

export type SettleOptions = ReportChangesOptions & {
  agent: Pick<Agent, "calls" | "restart" | "whenUp">
  log: Log
  attempt: AttemptRef & { turnId: Claim["turnId"]; stopRequested: boolean }
  sessionId: string
  model: string
}

/** Brings a turn that is over to rest: the agent idle, every part closed, the workspace's changes reported. */
export async function settle(
  options: SettleOptions,
  turn: Turn,
  outcome: Outcome,
): Promise<Ending> {
  const { agent, log } = options
  if (outcome.type === "stop" || outcome.type === "failed") {
    await endWork(agent, turn.sessionIds, stopMs, log)
  }
  const ending = await explained(options, await endingOf(options, turn, outcome))
  // Of what an earlier runner streamed the room has more than we know; it closes that itself.
  if (outcome.type !== "left-behind") turn.closeTexts()
  turn.closeTools(closingSentence(ending))
  await tellChanges(options, ending)
  return ending
}

/** An agent on a full disk fails in many ways, and rarely says why. */
async function explained({ workspace }: SettleOptions, ending: Ending): Promise<Ending> {
  const isWrong = ending.error !== null && ending.state !== "stopped"
  return isWrong && (await isDiskFull(workspace.directory))
    ? { ...ending, error: DISK_FULL }
    : ending
}

async function endingOf(options: SettleOptions, turn: Turn, outcome: Outcome): Promise<Ending> {
  switch (outcome.type) {
    case "idle":
      return idleEnding(options, turn)
    case "stop":
      await tryResync(turn, options.log)
      return { state: "stopped", error: null }
    case "failed":
      await tryResync(turn, options.log)
      return { state: "failed", error: outcome.failure }
    case "down":
      return { state: "interrupted", error: agentDied(outcome.sentence) }
    case "left-behind":
      await tryResync(turn, options.log)
      if (options.attempt.stopRequested) return { state: "stopped", error: null }
      return { state: "interrupted", error: leftBehind }
  }
}

const agentDied = (sentence: string) =>
  failure("agent-died", `${sentence}; it is started again. What came is kept, retry or go on.`)

const leftBehind = failure(
  "runner-restarted",
  "The sandbox's runner was restarted in the middle of the turn. What came is kept, retry or go on.",
)

async function idleEnding({ log, model }: SettleOptions, turn: Turn): Promise<Ending> {
  const answers = await completeAnswers(turn, log)
  if (answers === null) {
    return { state: "interrupted", error: agentDied("The agent no longer told what it had done") }
  }
  const last = answers.at(-1)
  const isDone = last !== undefined && isFinished(last)
  const error = last?.info.error ?? (isDone ? null : turn.error)
  if (error?.name === "MessageAbortedError") {
    const message = "The agent was told to stop from elsewhere. What came is kept, retry or go on."
    return { state: "interrupted", error: failure("agent-aborted", message) }
  }
  if (error) return { state: "failed", error: errorFailure(error, model) }
  if (isDone) return { state: "succeeded", error: null }
  if (last) {
    const message = `The agent stopped in the middle of its work with ${model} and did not say why. What came is kept, retry or go on.`
    return { state: "failed", error: failure("agent-left-off", message) }
  }
  const message = `${model} was not asked: the agent ended the turn without an answer; retry.`
  return { state: "failed", error: failure("agent-gave-no-answer", message) }
}

/** A message that was cut off is never completed, or leaves a tool at work. */
function isFinished({ info, parts }: AgentMessage): boolean {
  const atWork = parts.some(({ known, part }) => known === "tool" && isOpen(part.state.status))
  return info.time.completed !== undefined && !atWork
}

const isOpen = (status: string) => status === "pending" || status === "running"

/** The agent says idle a moment before its last message is complete. Null when it cannot be asked. */
async function completeAnswers(turn: Turn, log: Log) {
  const giveUpAt = performance.now() + completeMs
  for (;;) {
    const messages = await tryResync(turn, log)
    if (messages === null) return null
    const answers = messages.filter(({ info }) => info.role === "assistant")
    const last = answers.at(-1)
    const complete = last === undefined || last.info.time.completed !== undefined
    if (complete || performance.now() > giveUpAt) return answers
    await sleep(pollMs)
  }
}

async function tryResync(turn: Turn, log: Log) {
  return turn.resync().catch((error) => {
    log("the agent's messages could not be read", { error: String(error) })
    return null
  })
}

const unreadable =
  "What this turn changed could not be read from the workspace; the changes kept are those of an earlier turn. Ask the agent whether the repository is still whole, or start a new session."

const closingSentence = ({ state, error }: Ending) =>
  state === "stopped" ? "Stopped." : (error?.message ?? "The agent left it unfinished.")

/** A turn that failed has its own error to tell; one that went well must not seem to have changed what it has not. */
async function tellChanges(options: SettleOptions, { state }: Ending): Promise<void> {
  const { emit, attempt, log } = options
  try {
    await reportChanges(options, options.attempt.turnId)
  } catch (error) {
    log("the turn's changes could not be read", { error: String(error) })
    if (state !== "succeeded") return
    const { promptId, turnId } = attempt
    const key = `error:${promptId}:${attempt.attempt}:changes`
    emit.entry({ key, turnId, kind: "error", reason: "changes-unreadable", message: unreadable })
  }
}

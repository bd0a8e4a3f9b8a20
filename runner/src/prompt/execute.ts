import { AgentCallFailed } from "../agent/opencode.ts"
import { restart, within } from "./end-work.ts"
import { failure } from "./failures.ts"
import type { Ledger } from "./ledger.ts"
import type { Live, PromptLoopOptions } from "./live.ts"
import { type Ending, settle } from "./settle.ts"
import { type Outcome, Turn } from "./turn.ts"

const arrivalMs = 5_000

export type ExecuteOptions = PromptLoopOptions & {
  live: Live
  ledger: Ledger
  /** The agent's session, found or made. */
  openSession(): Promise<string>
  /** The agent has taken the prompt. */
  started(): void
}

/** Sends the attempt to the agent and follows it to its end. */
export async function execute(options: ExecuteOptions): Promise<Ending> {
  const { agent, live } = options
  const { claim } = live.attempt
  if (!agent.models.has(claim.model)) {
    const message = `This sandbox does not know the model ${claim.model}; choose another one and retry.`
    return { state: "failed", error: failure("model-unknown", message) }
  }
  const opened = await Promise.race([open(options), live.isCut])
  if (opened.type === "open") return send(options, opened.sessionId)
  if (opened.type === "stop") return { state: "stopped", error: null }
  return { state: "failed", error: opened.failure }
}

/** Ends an attempt that an earlier runner left behind, or follows it when the agent is still at work on it. */
export async function leave(options: ExecuteOptions): Promise<Ending> {
  const { agent, live } = options
  const sessionId = await options.openSession()
  const turn = startTurn(options, sessionId)
  const isIdle = await turn.beforeLive(async () => {
    if ((await agent.calls.status(sessionId)) === "idle") return true
    turn.begun()
    await turn.catchUp()
    return false
  })
  if (isIdle) return end(options, turn, sessionId, { type: "left-behind" })
  if (live.attempt.state === "journalled") options.started()
  return end(options, turn, sessionId, await turn.over)
}

async function open({ agent, openSession, log }: ExecuteOptions) {
  try {
    await agent.whenUp()
    return { type: "open" as const, sessionId: await openSession() }
  } catch (error) {
    log("the agent is not available", { error: String(error) })
    const message = `The agent does not start: ${String(error)}. Retry; if it happens again, start a new sandbox.`
    return { type: "failed" as const, failure: failure("agent-unavailable", message) }
  }
}

async function send(options: ExecuteOptions, sessionId: string): Promise<Ending> {
  const { live, started } = options
  const turn = startTurn(options, sessionId)
  const giving = give(options, sessionId)
  const first = await Promise.race([giving, turn.over])
  const given = first === "taken" ? first : await lateAnswer(options, giving, first)
  if (given === "taken") {
    turn.sent()
    started()
  }
  const outcome = first === "taken" ? await turn.over : (first ?? unconfirmed)
  const isStopped = live.attempt.stopRequested && outcome.type === "down"
  return end(options, turn, sessionId, isStopped ? { type: "stop" } : outcome)
}

const unconfirmed: Outcome = {
  type: "down",
  sentence: "The agent did not confirm that it had the prompt",
}

type Given = "taken" | Extract<Outcome, { type: "failed" }> | null

/**
 * The answer to a prompt whose turn is over. Without one it may be at work, or could begin after everything else has been
 * ended, so the agent is killed.
 */
async function lateAnswer(
  { agent, log }: ExecuteOptions,
  giving: Promise<Given>,
  over: Outcome | null,
): Promise<Given> {
  const given = await within(arrivalMs, giving).catch((error) => {
    log("a prompt of a turn that is over is still on its way", { error: String(error) })
    return null
  })
  const isAtRest = over?.type === "idle" || over?.type === "down"
  if (given === null && !isAtRest) await restart(agent, log)
  return given
}

/**
 * Gives the prompt to the agent. When in doubt whether it arrived, the agent is asked; it is never sent twice. Null when
 * the doubt remains.
 */
async function give(options: ExecuteOptions, sessionId: string): Promise<Given> {
  const { agent, live, log } = options
  const { messageId, claim } = live.attempt
  const { text, model } = claim
  try {
    await agent.calls.prompt({ sessionId, messageId, model, agent: claim.agent, text })
    return "taken"
  } catch (error) {
    log("the agent did not confirm the prompt", { error: String(error) })
    if (error instanceof AgentCallFailed && error.status !== null) {
      return { type: "failed", failure: failure("agent-refused", `${error.message}; retry.`) }
    }
  }
  try {
    return (await agent.calls.hasMessage(sessionId, messageId)) ? "taken" : null
  } catch (error) {
    log("the agent does not say whether it has the prompt", { error: String(error) })
    return null
  }
}

function startTurn({ live, ...options }: ExecuteOptions, sessionId: string): Turn {
  const { attempt } = live
  const { model, deadlines } = attempt.claim
  const turn = new Turn({ ...options, attempt, sessionId, model, deadlines })
  live.turn = turn
  void live.isCut.then((cut) => turn.end(cut))
  return turn
}

function end(options: ExecuteOptions, turn: Turn, sessionId: string, outcome: Outcome) {
  const { attempt } = options.live
  return settle({ ...options, attempt, sessionId, model: attempt.claim.model }, turn, outcome)
}

import type { AttemptRef, Claim, TerminalState } from "#protocol/work"
import { messageIds } from "../agent/message-id.ts"
import { startTurnState } from "../agent/turn-state.ts"
import { execute, leave } from "./execute.ts"
import { failure } from "./failures.ts"
import type { Cut, Live, PromptLoopOptions } from "./live.ts"
import type { AttemptRecord, JournalRecord, PromptLoop } from "./ports.ts"
import {
  emptyRecord,
  findAttempt,
  isAlive,
  isSame,
  journalled,
  leftBehind,
  reportsOf,
  steersOf,
  withAttempt,
} from "./records.ts"
import { type Ending, showError } from "./settle.ts"
import { showAgain } from "./show-again.ts"
import { Steers } from "./steers.ts"
import type { Turn } from "./turn.ts"
import { deleteUnanswered } from "./unanswered.ts"
import { Unseen } from "./unseen.ts"

const sessionTitle = "Agent Ops"

export function startPromptLoop(options: PromptLoopOptions): PromptLoop {
  const { agent, emit, journal, generation, log } = options
  const mintMessageId = messageIds()
  const unseen = new Unseen(options)
  let record: JournalRecord = journal.read() ?? emptyRecord
  let live: Live | null = null
  /** Kept after its end, because the room may still ask for its texts. */
  let turn: Turn | null = null
  let sessionChecked = false
  let closed = false

  /** What is not on disk is only known until the next crash; the turn goes on. */
  const save = (next: JournalRecord) => {
    record = next
    try {
      journal.write(next)
    } catch (error) {
      log("the journal cannot be written", { error: String(error) })
    }
  }

  const answer = (attempt: AttemptRecord) => {
    for (const report of reportsOf(attempt)) emit.report(report)
  }

  function begin(claim: Claim): void {
    const attempt = { ...journalled(claim, mintMessageId(Date.now())), claim }
    const next = withAttempt(record, attempt)
    try {
      journal.write(next)
    } catch (error) {
      refuse(attempt, error)
      return
    }
    record = next
    answer(attempt)
    work(attempt, (current) => execute(workOptions(current)))
  }

  /** An attempt that is not in the journal must not reach the agent: nobody would know it after a crash. */
  function refuse(attempt: AttemptRecord, cause: unknown): void {
    log("the journal cannot be written", { error: String(cause) })
    const message = `The sandbox cannot store the prompt: ${String(cause)}. Free some of its disk and retry.`
    const ended = { ...attempt, state: "failed" as const, error: failure("disk-failed", message) }
    record = withAttempt(record, ended)
    answer(ended)
  }

  function work(attempt: Live["attempt"], doIt: (current: Live) => Promise<Ending>): void {
    const { promise: isCut, resolve: cut } = Promise.withResolvers<Cut>()
    const steers = new Steers(steersOptions(attempt))
    const current: Live = { attempt, cut, isCut, turn: null, steers }
    if (attempt.stopRequested) cut({ type: "stop" })
    if (attempt.state === "running") steers.begin()
    live = current
    void doIt(current)
      .catch((error) => broken(current, error))
      .then(async (ending) => {
        turn?.dispose()
        turn = current.turn
        turn?.dispose()
        if (!closed) await steers.end(ending)
        if (!closed && turn && hasUnanswered(ending)) await forget()
        if (!closed) finish(current, ending)
      })
  }

  async function forget(): Promise<void> {
    const { agentSessionId } = record
    if (agentSessionId !== null) await deleteUnanswered(agent, agentSessionId, log)
  }

  function steersOptions(host: AttemptRecord): ConstructorParameters<typeof Steers>[0] {
    return {
      agent,
      log,
      hostMessageId: host.messageId,
      mintMessageId,
      sessionId: () => record.agentSessionId,
      left: steersOf(record, host),
      accept: (steer) => {
        const next = withAttempt(record, steer)
        try {
          journal.write(next)
        } catch (error) {
          log("the journal cannot be written", { error: String(error) })
          const returned = { ...steer, state: "returned" as const }
          record = withAttempt(record, returned)
          answer(returned)
          return false
        }
        record = next
        answer(steer)
        return true
      },
      tell: (steer) => {
        answer(steer)
        save(withAttempt(record, steer))
      },
    }
  }

  /** One that is not taken up here the room takes back when it hears of its host's end. */
  function steer(claim: Claim, host: AttemptRef) {
    const joins = live && isSame(live.attempt, host) && !live.attempt.stopRequested
    if (live && joins) return live.steers.add(claim)
    log("a steer of a turn that is over is refused", { ...refOf(claim) })
  }

  function broken(current: Live, cause: unknown): Ending {
    log("an attempt broke the runner", { error: String(cause) })
    const message = `The runner could not carry out the prompt: ${String(cause)}. Retry.`
    const ending: Ending = { state: "failed", error: failure("runner-failed", message) }
    showError({ emit, attempt: current.attempt }, ending)
    return ending
  }

  /** The report goes out first: were the journal first, a crash in between could lose what came before the report. */
  function finish(current: Live, { state, error }: Ending): void {
    const ended: AttemptRecord = { ...current.attempt, state, error }
    live = null
    answer(ended)
    save(withAttempt(record, ended))
    if (state === "interrupted" && current.turn) unseen.note(current.turn.state)
  }

  function workOptions(current: Live) {
    return {
      ...options,
      live: current,
      openSession,
      started: () => {
        const running = { ...current.attempt, state: "running" as const }
        current.attempt = running
        const { promptId, attempt } = running
        emit.report({ type: "attempt.running", promptId, attempt })
        save(withAttempt(record, running))
        current.steers.begin()
      },
    }
  }

  /** The agent's one session of ours, with nothing of an earlier turn left to show. */
  async function openSession(): Promise<string> {
    await unseen.shown()
    const known = record.agentSessionId
    if (known !== null && (sessionChecked || (await agent.calls.hasSession(known)))) {
      sessionChecked = true
      return known
    }
    if (known !== null) log("the agent lost its session and begins another", { known })
    const agentSessionId = await agent.calls.createSession(sessionTitle)
    save({ ...record, agentSessionId })
    sessionChecked = true
    return agentSessionId
  }

  async function recover(): Promise<void> {
    await agent.whenUp()
    const sessionId = await openSession()
    const last = leftBehind(record)
    const newest = last ?? record.attempts.at(-1)
    if (newest && newest.generation !== generation) return takeOver(newest, sessionId)
    // The runner that interrupted it may have ended before it could show the rest.
    if (newest?.state === "interrupted") unseen.note(stateOf(newest, sessionId))
    if (!last?.claim) return
    const attempt = { ...last, claim: last.claim }
    const isKnown = await agent.calls.hasMessage(sessionId, last.messageId)
    log("an attempt was left behind", { promptId: last.promptId, isKnown })
    // The agent was started after the crash, so what it does not know never reached it and may be sent.
    if (!isKnown) return work(attempt, (current) => execute(workOptions(current)))
    work(attempt, (current) => leave(workOptions(current)))
  }

  /** What an earlier generation did last. Its room has ended it already, when it let this one in. */
  async function takeOver(last: AttemptRecord, sessionId: string): Promise<void> {
    const wasAlive = isAlive(last)
    for (const left of wasAlive ? [last, ...steersOf(record, last)] : []) {
      save(withAttempt(record, { ...left, state: "interrupted" satisfies TerminalState }))
    }
    if (wasAlive || !options.isDelivered) await showAgain(options, stateOf(last, sessionId))
  }

  return {
    run(claim) {
      if (claim.generation !== generation) {
        return log("a prompt of another generation is refused", { generation: claim.generation })
      }
      const known = findAttempt(record, claim)
      if (known) return answer(known)
      if (claim.steers) return steer(claim, claim.steers)
      if (live) return log("a prompt is refused while another is at work", { ...refOf(claim) })
      begin(claim)
    },

    stop(ref) {
      if (live && isSame(live.attempt, ref)) {
        if (live.attempt.stopRequested) return
        live.attempt = { ...live.attempt, stopRequested: true }
        live.cut({ type: "stop" })
        return save(withAttempt(record, live.attempt))
      }
      const known = findAttempt(record, ref)
      if (known) answer(known)
    },

    fail(error) {
      live?.cut({ type: "failed", failure: error })
    },

    report(ref) {
      const known = findAttempt(record, ref)
      if (known) answer(known)
      else log("the room asks for an unknown attempt", { ...refOf(ref) })
    },

    resend(keys) {
      ;(live?.turn ?? turn)?.resend(keys)
    },

    recover,

    current: () => (live ? refOf(live.attempt) : null),

    async close() {
      closed = true
      unseen.close()
      live?.turn?.dispose()
      live?.steers.dispose()
      turn?.dispose()
    },
  }
}

/** What went on to the agent and may have come to nothing. */
const hasUnanswered = ({ state }: Ending) => state === "stopped" || state === "failed"

/** A turn of which this runner has shown nothing yet. */
const stateOf = ({ turnId, messageId }: AttemptRecord, sessionId: string) =>
  startTurnState(turnId, sessionId, messageId)

const refOf = ({ promptId, attempt }: AttemptRef): AttemptRef => ({ promptId, attempt })

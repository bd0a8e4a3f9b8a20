import type { Failure } from "#protocol/entry"
import type { AttemptRef, Claim, TerminalState } from "#protocol/work"
import { messageIds } from "../agent/message-id.ts"
import { startTurnState } from "../agent/turn-state.ts"
import { withoutPaths } from "../failed.ts"
import { type ExecuteOptions, execute, leave } from "./execute.ts"
import { failure } from "./failures.ts"
import { Ledger } from "./ledger.ts"
import type { Cut, Live, PromptLoopOptions } from "./live.ts"
import type { AttemptRecord, PromptLoop } from "./ports.ts"
import { isAlive, isSame, journalled, leftBehind, steersOf } from "./records.ts"
import type { Ending } from "./settle.ts"
import { showAgain } from "./show-again.ts"
import { Steers, type SteersOptions } from "./steers.ts"
import type { Turn } from "./turn.ts"
import { deleteUnanswered } from "./unanswered.ts"
import { Unseen } from "./unseen.ts"

const sessionTitle = "Agent Ops"

export const startPromptLoop = (options: PromptLoopOptions): PromptLoop => new AttemptLoop(options)

class AttemptLoop implements PromptLoop {
  readonly #options: PromptLoopOptions
  readonly #ledger: Ledger
  readonly #unseen: Unseen
  readonly #mintMessageId = messageIds()
  #live: Live | null = null
  /** Kept after its end, because the room may still ask for its texts. */
  #turn: Turn | null = null
  #sessionChecked = false
  #closed = false

  constructor(options: PromptLoopOptions) {
    this.#options = options
    this.#ledger = new Ledger(options)
    this.#unseen = new Unseen(options)
  }

  run(claim: Claim): void {
    const { generation, log } = this.#options
    const known = this.#ledger.find(claim)
    if (claim.generation !== generation) {
      log("a prompt of another generation is refused", { generation: claim.generation })
    } else if (known) this.#ledger.tell(known)
    else if (claim.steers) this.#steer(claim, claim.steers)
    else if (this.#live) log("a prompt is refused while another is at work", { ...refOf(claim) })
    else this.#begin(claim)
  }

  stop(ref: AttemptRef): void {
    const live = this.#live
    if (live && isSame(live.attempt, ref)) {
      if (live.attempt.stopRequested) return
      live.attempt = { ...live.attempt, stopRequested: true }
      live.cut({ type: "stop" })
      this.#ledger.keep(live.attempt)
      return
    }
    const known = this.#ledger.find(ref)
    if (known) this.#ledger.tell(known)
  }

  fail(error: Failure): void {
    this.#live?.cut({ type: "failed", failure: error })
  }

  report(ref: AttemptRef): void {
    const known = this.#ledger.find(ref)
    if (known) this.#ledger.tell(known)
    else this.#options.log("the room asks for an unknown attempt", { ...refOf(ref) })
  }

  resend(keys: string[]): void {
    const turn = this.#live?.turn ?? this.#turn
    turn?.resend(keys)
  }

  current(): AttemptRef | null {
    return this.#live ? refOf(this.#live.attempt) : null
  }

  async recover(): Promise<void> {
    const { agent, generation, log } = this.#options
    const { record } = this.#ledger
    await agent.whenUp()
    const sessionId = await this.#openSession()
    const last = leftBehind(record)
    const newest = last ?? record.attempts.at(-1)
    if (newest && newest.generation !== generation) return this.#takeOver(newest, sessionId)
    // The runner that interrupted it may have ended before it could show the rest.
    if (newest?.state === "interrupted") this.#unseen.note(stateOf(newest, sessionId))
    if (!last?.claim) return
    const attempt = { ...last, claim: last.claim }
    const isKnown = await agent.calls.hasMessage(sessionId, last.messageId)
    log("an attempt was left behind", { promptId: last.promptId, isKnown })
    // The agent was started after the crash, so what it does not know never reached it and may be sent.
    this.#work(attempt, isKnown ? leave : execute)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#unseen.close()
    this.#live?.turn?.dispose()
    this.#live?.steers.dispose()
    this.#turn?.dispose()
  }

  /** An attempt that is not in the journal must not reach the agent: nobody would know it after a crash. */
  #begin(claim: Claim): void {
    const attempt = { ...journalled(claim, this.#mintMessageId(Date.now())), claim }
    const refused = this.#ledger.accept(attempt)
    if (!refused) {
      this.#work(attempt, execute)
      return
    }
    const problem = withoutPaths(String(refused.problem))
    const message = `The sandbox cannot store the prompt: ${problem}. Free some of its disk and retry.`
    this.#ledger.refuse({ ...attempt, state: "failed", error: failure("disk-failed", message) })
  }

  #work(attempt: Live["attempt"], carryOut: (options: ExecuteOptions) => Promise<Ending>): void {
    const { promise: isCut, resolve: cut } = Promise.withResolvers<Cut>()
    const steers = new Steers(this.#steersOptions(attempt))
    const live: Live = { attempt, cut, isCut, turn: null, steers }
    if (attempt.stopRequested) cut({ type: "stop" })
    if (attempt.state === "running") steers.begin()
    this.#live = live
    void carryOut(this.#executeOptions(live))
      .catch((error) => this.#broken(error))
      .then((ending) => this.#end(live, ending))
  }

  async #end(live: Live, ending: Ending): Promise<void> {
    this.#turn?.dispose()
    this.#turn = live.turn
    this.#turn?.dispose()
    if (!this.#closed) await live.steers.end(ending)
    if (!this.#closed && live.turn && hasUnanswered(ending)) await this.#forget()
    if (!this.#closed) this.#finish(live, ending)
  }

  /** The report goes out first: were the journal first, a crash in between could lose what came before the report. */
  #finish({ attempt, turn }: Live, { state, error }: Ending): void {
    const ended: AttemptRecord = { ...attempt, state, error }
    this.#live = null
    this.#ledger.tell(ended)
    this.#ledger.keep(ended)
    if (state === "interrupted" && turn) this.#unseen.note(turn.state)
  }

  async #forget(): Promise<void> {
    const { agent, log } = this.#options
    const { agentSessionId } = this.#ledger.record
    if (agentSessionId !== null) await deleteUnanswered(agent, agentSessionId, log)
  }

  #broken(cause: unknown): Ending {
    this.#options.log("an attempt broke the runner", { error: String(cause) })
    const said = withoutPaths(String(cause))
    const message = `The runner could not carry out the prompt: ${said}. Retry, and if it happens again start a new session.`
    return { state: "failed", error: failure("runner-failed", message) }
  }

  /** One that is not taken up here the room takes back when it hears of its host's end. */
  #steer(claim: Claim, host: AttemptRef): void {
    const live = this.#live
    const joins = live && isSame(live.attempt, host) && !live.attempt.stopRequested
    if (joins) live.steers.add(claim)
    else this.#options.log("a steer of a turn that is over is refused", { ...refOf(claim) })
  }

  #steersOptions(host: AttemptRecord): SteersOptions {
    const { agent, log } = this.#options
    return {
      agent,
      log,
      hostMessageId: host.messageId,
      mintMessageId: this.#mintMessageId,
      sessionId: () => this.#ledger.record.agentSessionId,
      left: steersOf(this.#ledger.record, host),
      accept: (steer) => {
        const isAccepted = this.#ledger.accept(steer) === null
        if (!isAccepted) this.#ledger.refuse({ ...steer, state: "returned" })
        return isAccepted
      },
      tell: (steer) => {
        this.#ledger.tell(steer)
        this.#ledger.keep(steer)
      },
    }
  }

  #executeOptions(live: Live): ExecuteOptions {
    return {
      ...this.#options,
      live,
      ledger: this.#ledger,
      openSession: () => this.#openSession(),
      started: () => {
        const running = { ...live.attempt, state: "running" as const }
        live.attempt = running
        this.#options.emit.report({ type: "attempt.running", ...refOf(running) })
        this.#ledger.keep(running)
        live.steers.begin()
      },
    }
  }

  /** The agent's one session of ours, with nothing of an earlier turn left to show. */
  async #openSession(): Promise<string> {
    await this.#unseen.shown()
    const { calls } = this.#options.agent
    const known = this.#ledger.record.agentSessionId
    if (known !== null && (this.#sessionChecked || (await calls.hasSession(known)))) {
      this.#sessionChecked = true
      return known
    }
    if (known !== null) {
      this.#options.log("the agent lost its session and begins another", { known })
    }
    const agentSessionId = await calls.createSession(sessionTitle)
    this.#ledger.keepSession(agentSessionId)
    this.#sessionChecked = true
    return agentSessionId
  }

  /** What an earlier generation did last. Its room has ended it already, when it let this one in. */
  async #takeOver(last: AttemptRecord, sessionId: string): Promise<void> {
    const wasAlive = isAlive(last)
    for (const left of wasAlive ? [last, ...steersOf(this.#ledger.record, last)] : []) {
      this.#ledger.keep({ ...left, state: "interrupted" satisfies TerminalState })
    }
    if (wasAlive || !this.#options.isDelivered) {
      await showAgain(this.#options, stateOf(last, sessionId))
    }
  }
}

/** What went on to the agent and may have come to nothing. */
const hasUnanswered = ({ state }: Ending) => state === "stopped" || state === "failed"

/** A turn of which this runner has shown nothing yet. */
const stateOf = ({ turnId, messageId }: AttemptRecord, sessionId: string) =>
  startTurnState(turnId, sessionId, messageId)

const refOf = ({ promptId, attempt }: AttemptRef): AttemptRef => ({ promptId, attempt })

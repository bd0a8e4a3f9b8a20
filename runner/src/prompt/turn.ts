import type { DraftEntry, Failure } from "#protocol/entry"
import type { AttemptRef, Claim } from "#protocol/work"
import type { Agent } from "../agent/agent.ts"
import { DeltaBatch } from "../agent/delta-batch.ts"
import { resync, type Signal, translate } from "../agent/translate.ts"
import { closeTexts, resendTexts, tearTexts } from "../agent/translate-text.ts"
import { closeTools, dueTools, toolsAtWork } from "../agent/translate-tool.ts"
import { startTurnState, type TurnState } from "../agent/turn-state.ts"
import type { AgentError, AgentEvent, AgentMessage } from "../agent/wire.ts"
import { DISK_FULL, isDiskFull } from "../disk-full.ts"
import type { Log } from "../log.ts"
import {
  brokeOff,
  brokerFailure,
  deadlineFailure,
  errorFailure,
  isBrokerAway,
  retryFailure,
} from "./failures.ts"
import type { Emit, Workspace } from "./ports.ts"
import { moved, startWatch, verdict, type Watch } from "./watchdog.ts"

const tickMs = 100
const maxRetries = 3
/** With the agent's pauses of 2, 4, 8, 16 and 30 s this outlasts a minute without a broker. */
const maxBrokerRetries = 6
/** How often the agent is asked whether it is still busy, in case an event was missed. */
const reconcileMs = 10_000

/** Why a turn is over. */
export type Outcome =
  /** The agent is done by itself, well or not. */
  | { type: "idle" }
  | { type: "stop" }
  /** We give up on it. */
  | { type: "failed"; failure: Failure }
  /** The agent's process is gone. */
  | { type: "down"; sentence: string }
  /** An earlier runner began it, and nobody finished it. */
  | { type: "left-behind" }

export type TurnOptions = {
  agent: Pick<Agent, "calls" | "subscribe">
  emit: Emit
  workspace: Pick<Workspace, "directory">
  log: Log
  attempt: AttemptRef & { turnId: Claim["turnId"]; messageId: string }
  sessionId: string
  model: string
  deadlines: Claim["deadlines"]
  /** Whether the room was out of reach at any time since then, on the clock of `performance.now()`. */
  roomLostSince(atMs: number): boolean
}

/** Follows one turn: the agent's events go in, entries and deltas come out, and at last the reason why it is over. */
export class Turn {
  readonly over: Promise<Outcome>
  /** The error that the agent named last. */
  error: AgentError | null = null
  readonly #options: TurnOptions
  readonly #batch: DeltaBatch
  readonly #settle: (outcome: Outcome) => void
  readonly #unsubscribe: () => void
  readonly #ticker: ReturnType<typeof setInterval>
  #state: TurnState
  #watch: Watch | null = null
  #reconciledAtMs = 0
  #idleBefore = false
  /** The model wrote something since it was last asked. */
  #wrote = false
  #askedAtMs = performance.now()
  #isOver = false
  /** Its last entry has gone out, or goes out next: whatever is told later comes too late (D10). */
  #isDisposed = false
  /** Comparisons with the agent's own messages that are under way, and what the agent said meanwhile. */
  #comparisons = 0
  #held: AgentEvent[] = []

  constructor(options: TurnOptions) {
    const { agent, emit, attempt, sessionId } = options
    this.#options = options
    this.#state = startTurnState(attempt.turnId, sessionId, attempt.messageId)
    this.#batch = new DeltaBatch((deltas) => emit.deltas(deltas))
    const over = Promise.withResolvers<Outcome>()
    this.over = over.promise
    this.#settle = over.resolve
    this.#ticker = setInterval(() => this.#tick(), tickMs)
    this.#unsubscribe = agent.subscribe({
      event: (event) => {
        if (this.#comparisons > 0) this.#held.push(event)
        else this.#take(event)
      },
      gap: () => void this.#reconcile(() => this.catchUp()),
      down: (sentence) => this.end({ type: "down", sentence }),
    })
  }

  /** The agent has the prompt: deadlines count from here. */
  sent(): void {
    this.#watch ??= startWatch(performance.now())
  }

  /** The agent is known to be at work on the prompt. */
  begun(): void {
    this.#watch = moved(this.#watch ?? startWatch(performance.now()), performance.now())
  }

  end(outcome: Outcome): void {
    this.#isOver = true
    this.#settle(outcome)
  }

  /** What the room was sent of it. */
  get state(): TurnState {
    return this.#state
  }

  /** Sessions of this turn: its own, then those of sub-agents. */
  get sessionIds(): string[] {
    return [...this.#state.sessions]
  }

  /**
   * Emits whatever the agent's own messages have that was not emitted yet. Texts in the middle cannot be continued
   * afterwards, since pieces say no place and may be in those messages already; they become whole at their ends.
   */
  resync(): Promise<AgentMessage[]> {
    return this.beforeLive(async () => {
      const { calls } = this.#options.agent
      const { sessionId, attempt } = this.#options
      const messages = await calls.messagesFrom(sessionId, attempt.messageId)
      this.#compare(messages)
      for (const child of this.sessionIds) {
        if (child !== sessionId) this.#compare(await calls.messagesFrom(child, null))
      }
      if (!this.#isDisposed) this.#state = tearTexts(this.#state)
      return messages
    })
  }

  /** What the agent says during `work` comes after what `work` emits (E8). */
  async beforeLive<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#comparisons += 1
    try {
      return await work()
    } finally {
      this.#comparisons -= 1
      if (this.#comparisons === 0) for (const event of this.#held.splice(0)) this.#take(event)
    }
  }

  /** After events may have been missed, of texts in the middle too. */
  async catchUp(): Promise<void> {
    this.#state = tearTexts(this.#state)
    await this.resync()
  }

  /** Ends the texts that the agent left open, as far as they came. */
  closeTexts(): void {
    const { state, entries } = closeTexts(this.#state)
    this.#state = state
    this.#emit(entries)
  }

  closeTools(sentence: string): void {
    const { state, entries } = closeTools(this.#state, Date.now(), sentence)
    this.#state = state
    this.#emit(entries)
  }

  resend(keys: string[]): void {
    const { state, entries } = resendTexts(this.#state, keys)
    this.#state = state
    this.#emit(entries)
  }

  dispose(): void {
    this.#isDisposed = true
    this.#unsubscribe()
    clearInterval(this.#ticker)
    this.#batch.close()
  }

  #take(event: AgentEvent): void {
    if (this.#isDisposed) return
    try {
      const step = translate(this.#state, event, Date.now())
      this.#state = step.state
      this.#batch.add(step.deltas)
      this.#emit(step.entries)
      if (step.deltas.length > 0 || step.entries.length > 0) this.#wrote = true
      for (const signal of step.signals) this.#heed(signal)
    } catch (error) {
      this.#options.log("an event of the agent could not be used", {
        type: event.type,
        error: String(error),
      })
    }
  }

  #emit(entries: DraftEntry[]): void {
    if (entries.length === 0) return
    this.#batch.flush()
    for (const entry of entries) this.#options.emit.entry(entry)
  }

  #compare(messages: AgentMessage[]): void {
    if (this.#isDisposed) return
    const step = resync(this.#state, messages, Date.now())
    this.#state = step.state
    this.#batch.add(step.deltas)
    this.#emit(step.entries)
  }

  #heed(signal: Signal): void {
    if (this.#isOver) return
    switch (signal.type) {
      case "busy":
        this.#askedAtMs = performance.now()
        this.begun()
        break
      case "activity":
        this.begun()
        break
      case "idle":
        // An idle session before the prompt has begun is the one that has not heard of it yet.
        if (this.#watch?.started) this.end({ type: "idle" })
        break
      case "error":
        this.#heedError(signal.error)
        break
      case "retry":
        this.#heedRetry(signal)
        break
      case "broke-off":
        this.#giveUp(this.#brokeOff())
        break
      case "asked":
        void this.#reject(signal)
    }
  }

  #heedError(error: AgentError): void {
    // Later errors of the same turn only tell of the first.
    this.error ??= error
    // A prompt that the agent could not even begin with never falls idle.
    if (!this.#watch?.started) this.#giveUp(errorFailure(error, this.#options.model))
  }

  /** The rooms hold both ends of it: when the runner lost its room meanwhile, the broker was gone too. */
  #lostBroker(): boolean {
    return this.#options.roomLostSince(this.#askedAtMs)
  }

  #brokeOff(): Failure {
    const { model } = this.#options
    if (this.#lostBroker()) return brokerFailure(model, true)
    return brokeOff(model, "its stream ended without saying why")
  }

  #giveUp(failure: Failure): void {
    this.end({ type: "failed", failure })
  }

  #heedRetry({ attempt, message, next }: Extract<Signal, { type: "retry" }>): void {
    const { model, deadlines } = this.#options
    const waitMs = Math.max(0, next - Date.now())
    const now = performance.now()
    this.#watch = moved(this.#watch ?? startWatch(now), now + waitMs)
    const isOurs = isBrokerAway(message) || this.#lostBroker()
    const most = isOurs ? maxBrokerRetries : maxRetries
    if (attempt >= most || waitMs > deadlines.silenceMs) {
      const wrote = this.#wrote
      this.#giveUp(isOurs ? brokerFailure(model, wrote) : retryFailure(message, model, wrote))
    }
    this.#wrote = false
  }

  /** Nobody can answer yet, and an unanswered request blocks the turn for ever. */
  async #reject({ kind, requestId, about }: Extract<Signal, { type: "asked" }>): Promise<void> {
    const { agent, attempt, log } = this.#options
    const message = `The agent asked for ${about} and was told no: there is no way to ask you yet.`
    this.#emit([
      {
        key: `error:${requestId}`,
        turnId: attempt.turnId,
        kind: "error",
        reason: `${kind}-rejected`,
        message,
      },
    ])
    try {
      if (kind === "permission") await agent.calls.rejectPermission(requestId)
      else await agent.calls.rejectQuestion(requestId)
    } catch (error) {
      log("a request of the agent could not be rejected", { requestId, error: String(error) })
    }
  }

  #tick(): void {
    const { state, entries } = dueTools(this.#state, Date.now())
    this.#state = state
    this.#emit(entries)
    if (this.#isOver || !this.#watch) return
    const { deadlines, model } = this.#options
    const now = performance.now()
    const late = verdict(this.#watch, deadlines, toolsAtWork(state), now)
    if (late) this.#giveUp(deadlineFailure(late, deadlines, model))
    else if (this.#watch.started && now - this.#reconciledAtMs > reconcileMs) {
      void this.#reconcile()
      void this.#checkDisk()
    }
  }

  /** An agent that could not store a command's end waits for it for ever, and the runner may have nothing to write. */
  async #checkDisk(): Promise<void> {
    const isFull = await isDiskFull(this.#options.workspace.directory)
    if (isFull && !this.#isOver) this.#giveUp(DISK_FULL)
  }

  /** Asks the agent what is true. Only an idleness seen twice counts: the first may be older than the prompt. */
  async #reconcile(prepare?: () => Promise<void>): Promise<void> {
    this.#reconciledAtMs = performance.now()
    const { agent, sessionId, log } = this.#options
    try {
      await prepare?.()
      const isIdle = (await agent.calls.status(sessionId)) === "idle"
      if (isIdle && this.#idleBefore && this.#watch?.started && !this.#isOver) {
        log("the agent fell idle unnoticed", { sessionId })
        this.end({ type: "idle" })
      }
      if (isIdle && !this.#idleBefore) this.#reconciledAtMs -= reconcileMs - 1_000
      this.#idleBefore = isIdle
    } catch (error) {
      log("the agent does not say how it is", { error: String(error) })
    }
  }
}

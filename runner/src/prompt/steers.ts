import { setTimeout as sleep } from "node:timers/promises"
import type { AttemptRef, Claim } from "#protocol/work"
import type { Agent } from "../agent/agent.ts"
import { AgentCallFailed } from "../agent/opencode.ts"
import type { AgentEvent, AgentMessage, MessageInfo } from "../agent/wire.ts"
import type { Log } from "../log.ts"
import { within } from "./end-work.ts"
import { failure } from "./failures.ts"
import type { AttemptRecord } from "./ports.ts"
import { isAlive, isSame, journalled } from "./records.ts"
import type { Ending } from "./settle.ts"

const arrivalMs = 5_000
const askMs = 30_000
const deleteMs = 2_000
const pollMs = 50

type Steer = AttemptRecord & { claim: Claim }

export type SteersOptions = {
  agent: Pick<Agent, "calls" | "models" | "restart" | "subscribe" | "whenAnswering">
  log: Log
  /** Id of the host's own message. */
  hostMessageId: string
  mintMessageId(nowMs: number): string
  /** The agent's session; null while there is none. */
  sessionId(): string | null
  /** Puts a steer on disk and tells the room. False when the disk refused, and the room was told that it is returned. */
  accept(steer: Steer): boolean
  /** Tells the room of a steer's new state and keeps it. */
  tell(steer: AttemptRecord): void
  /** What an earlier runner left unsettled. */
  left: Steer[]
}

/**
 * The steers of one attempt (D14). The agent stores each beside its work and reads it at its next step; what it has not
 * read when the attempt ends is taken back from it and returned to the room.
 */
export class Steers {
  readonly #options: SteersOptions
  readonly #begun = Promise.withResolvers<void>()
  readonly #asked: AttemptRef[] = []
  /** Messages that the agent has confirmed. */
  readonly #stored = new Set<string>()
  #steers: Steer[]
  #giving: Promise<void> = this.#begun.promise
  #isOver = false
  #unsubscribe = () => {}

  constructor(options: SteersOptions) {
    this.#options = options
    this.#steers = options.left
  }

  /** The agent has the host's prompt: what steers it may follow. */
  begin(): void {
    this.#begun.resolve()
  }

  /** One after the other, so that they reach the agent in the order of their ids. A repeat changes nothing. */
  add(claim: Claim): void {
    if (this.#asked.some((known) => isSame(known, claim))) return
    this.#asked.push(claim)
    this.#giving = this.#giving.then(() => this.#give(claim))
  }

  /** Settles every steer before the end of its host is told. */
  async end(host: Ending): Promise<void> {
    this.#isOver = true
    this.#begun.resolve()
    await this.#arrived()
    this.dispose()
    const messages = this.#steers.some(isUntaken) ? await this.#messages() : []
    for (const steer of this.#steers.filter(isUntaken)) {
      if (messages && wasRead(steer, messages)) this.#take(steer)
    }
    for (const steer of this.#steers.filter(isAlive)) {
      const { state, error } = isUntaken(steer) ? await this.#takeBack(steer, messages) : host
      this.#change({ ...steer, state, error })
    }
  }

  /** Stops listening; what is not settled stays journalled. */
  dispose(): void {
    this.#isOver = true
    this.#unsubscribe()
    this.#unsubscribe = () => {}
  }

  async #give(claim: Claim): Promise<void> {
    const { agent, log, accept, mintMessageId } = this.#options
    const sessionId = this.#options.sessionId()
    // The room takes back by itself what was not accepted when it hears of the host's end.
    if (this.#isOver || sessionId === null) return
    const steer = { ...journalled(claim, mintMessageId(Date.now())), claim }
    if (!accept(steer)) return
    this.#listen(sessionId)
    this.#steers.push(steer)
    const { model, agent: name, text } = claim
    const { messageId } = steer
    if (!agent.models.has(model)) return this.#change({ ...steer, state: "returned" })
    try {
      await agent.calls.steer({ sessionId, messageId, model, agent: name, text })
      this.#stored.add(messageId)
    } catch (error) {
      log("the agent did not take a steer", { error: String(error) })
      const isRefused = error instanceof AgentCallFailed && error.status !== null
      if (isRefused) this.#change({ ...steer, state: "returned" })
    }
  }

  /** A call that is still on its way could be stored after everything is settled, so it is cut off. */
  async #arrived(): Promise<void> {
    try {
      await within(arrivalMs, this.#giving)
    } catch (error) {
      this.#options.log("a steer is still on its way", { error: String(error) })
      await this.#options.agent.restart()
    }
  }

  #listen(sessionId: string): void {
    this.#unsubscribe()
    this.#unsubscribe = this.#options.agent.subscribe({
      event: (event) => this.#heed(event, sessionId),
      gap: () => undefined,
      down: () => undefined,
    })
  }

  /** The agent begins a step, and names the newest message that it has read. */
  #heed(event: AgentEvent, sessionId: string): void {
    if (event.type !== "message.updated" || event.properties.sessionID !== sessionId) return
    const { info } = event.properties
    for (const steer of this.#steers.filter(isUntaken)) {
      const { messageId } = steer
      if (
        info.parentID === messageId ||
        (this.#stored.has(messageId) && isAfter(info, messageId))
      ) {
        this.#take(steer)
      }
    }
  }

  #take(steer: Steer): void {
    this.#change({ ...steer, state: "running" })
  }

  #change(steer: Steer): void {
    this.#steers = this.#steers.map((known) => (isSame(known, steer) ? steer : known))
    this.#options.tell(steer)
  }

  /** The agent's messages since the host's; null when it does not say. */
  async #messages(): Promise<AgentMessage[] | null> {
    const { agent, hostMessageId, log } = this.#options
    const sessionId = this.#options.sessionId()
    if (sessionId === null) return []
    try {
      await within(askMs, agent.whenAnswering())
      return await agent.calls.messagesFrom(sessionId, hostMessageId)
    } catch (error) {
      log("the agent does not say whether it has read a steer", { error: String(error) })
      return null
    }
  }

  /** Only what the agent certainly does not hold any more may go back to the queue. */
  async #takeBack({ messageId }: Steer, messages: AgentMessage[] | null) {
    const isHeld = messages?.some(({ info }) => info.id === messageId)
    const isGone = isHeld === false || (isHeld === true && (await this.#delete(messageId)))
    return isGone
      ? { state: "returned" as const, error: null }
      : { state: "interrupted" as const, error: unsettled }
  }

  async #delete(messageId: string): Promise<boolean> {
    const { agent, log } = this.#options
    const sessionId = this.#options.sessionId()
    if (sessionId === null) return true
    const giveUpAt = performance.now() + deleteMs
    for (;;) {
      try {
        await agent.calls.deleteMessage(sessionId, messageId)
        return true
      } catch (error) {
        // The agent is busy for a moment after it has said that it is idle.
        if (performance.now() < giveUpAt) await sleep(pollMs)
        else {
          log("a steer could not be taken back", { error: String(error) })
          return false
        }
      }
    }
  }
}

const unsettled = failure(
  "steer-unsettled",
  "The turn that this prompt was to join ended before it was known whether the agent had read it. Retry it if it is still wanted.",
)

const isUntaken = ({ state }: AttemptRecord) => state === "journalled"

/** A step that the agent began after it had stored the message. */
const isAfter = ({ role, parentID }: MessageInfo, messageId: string) =>
  role === "assistant" && parentID !== undefined && parentID >= messageId

const wasRead = ({ messageId }: Steer, messages: AgentMessage[]) =>
  messages.some(({ info }) => info.id === messageId) &&
  messages.some(({ info }) => isAfter(info, messageId))

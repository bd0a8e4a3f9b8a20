import type { Agent } from "../agent/agent.ts"
import type { TurnState } from "../agent/turn-state.ts"
import type { Log } from "../log.ts"
import type { Emit } from "./ports.ts"
import { showAgain } from "./show-again.ts"

type UnseenOptions = { agent: Pick<Agent, "calls" | "whenAnswering">; emit: Emit; log: Log }

/**
 * What the agent finished in a turn that ended without its word: the turn does not wait for an agent that died, so this
 * is shown as soon as the agent answers again, and before it is given the next prompt.
 */
export class Unseen {
  readonly #options: UnseenOptions
  #ended: TurnState | null = null
  #showing: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: UnseenOptions) {
    this.#options = options
  }

  /** A turn was interrupted; the state says what was shown of it. */
  note(ended: TurnState): void {
    this.#ended = ended
    void this.shown()
  }

  /** Resolves when it has been shown, or could not be; then the next call tries again. */
  shown(): Promise<void> {
    this.#showing = this.#showing.then(() => this.#show())
    return this.#showing
  }

  close(): void {
    this.#isClosed = true
  }

  async #show(): Promise<void> {
    const ended = this.#ended
    if (ended === null) return
    const { agent, emit, log } = this.#options
    try {
      await agent.whenAnswering()
      if (this.#isClosed) return
      await showAgain({ agent, emit }, ended)
      if (this.#ended === ended) this.#ended = null
    } catch (error) {
      log("what the agent finished last could not be read", { error: String(error) })
    }
  }
}

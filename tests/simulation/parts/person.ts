import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { Actor, DomainContext } from "../../../server/domain/context.ts"
import { Conflict, DomainError, Unavailable } from "../../../server/domain/errors.ts"
import {
  editPrompt,
  listPrompts,
  promotePrompt,
  retryPrompt,
  sendPrompt,
  stopPrompt,
  withdrawPrompt,
} from "../../../server/domain/prompts/index.ts"
import {
  createSession,
  terminateSession,
  wakeSession,
} from "../../../server/domain/sessions/index.ts"
import type { Network } from "../kernel/network.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"
import type { Web } from "./server.ts"

const REQUEST_MS = 10_000
const RETRY_MS = 1_500
const LIST_LIMIT = 100

export type Deed =
  | "send"
  | "steer"
  | "send-again"
  | "withdraw"
  | "edit"
  | "promote"
  | "stop"
  | "retry"
  | "wake"
  | "terminate"

/** What people did to the session, as far as they know. */
export type Deeds = {
  /** Every prompt that was sent, whether or not it arrived: text by id. */
  sent: Map<string, { text: string; mode: "queue" | "steer" }>
  /** Prompts whose sending was answered. */
  accepted: Set<string>
  /** Texts that a prompt may have, once an edit may have worked. */
  edits: Map<string, Set<string>>
  /** How often a retry of a prompt arrived. */
  retries: Map<string, number>
  withdrawals: Set<string>
  terminated: boolean
}

export const noDeeds = (): Deeds => ({
  sent: new Map(),
  accepted: new Set(),
  edits: new Map(),
  retries: new Map(),
  withdrawals: new Set(),
  terminated: false,
})

/** Somebody who works with the session through the API, and asks again when no answer comes. */
export class Person {
  readonly actor: Actor
  /** Waits for an answer. */
  isBusy = false
  readonly process: SimulatedProcess
  readonly #simulation: Simulation
  readonly #network: Network
  readonly #web: Web
  readonly #deeds: Deeds
  #sentHere = 0

  constructor(
    simulation: Simulation,
    surroundings: { actor: Actor; network: Network; web: Web; deeds: Deeds },
  ) {
    this.#simulation = simulation
    this.actor = surroundings.actor
    this.#network = surroundings.network
    this.#web = surroundings.web
    this.#deeds = surroundings.deeds
    this.process = new SimulatedProcess(simulation, this.actor.name)
  }

  /** Creates the session; the same one however often the answer is lost. */
  createSession(text: string): Promise<string> {
    const input = {
      repoUrl: "file:///srv/git/project",
      prompt: text,
      idempotencyKey: `simulated-${this.#simulation.seed}`,
    }
    return this.#insist("create", async (ctx) => (await createSession(ctx, input)).id)
  }

  /** Does one thing, if there is something to do it to. Answers when it is done or refused. */
  async act(deed: Deed, sessionId: string): Promise<void> {
    try {
      await this.#act(deed, sessionId)
    } catch (error) {
      // Somebody else was first, or the thing has moved on.
      if (!(error instanceof DomainError) || error instanceof Unavailable) throw error
      this.#simulation.note(`${this.actor.name} ${deed} refused: ${error.reason}`)
      if (!(error instanceof Conflict)) {
        this.#simulation.violate(`${deed} was refused: ${error.reason}`, error)
      }
    }
  }

  async #act(deed: Deed, sessionId: string): Promise<void> {
    const deeds = this.#deeds
    switch (deed) {
      case "send":
      case "steer":
        return this.#send(sessionId, deed === "steer" ? "steer" : "queue")
      case "send-again": {
        const known = this.#simulation.random.pick([...deeds.sent])
        if (!known) return
        const [promptId, { text, mode }] = known
        return this.#sendAs(sessionId, promptId, text, mode)
      }
      case "wake":
        return this.#insist("wake", async (ctx) => void (await wakeSession(ctx, { sessionId })))
      case "terminate":
        deeds.terminated = true
        return this.#insist(
          "terminate",
          async (ctx) => void (await terminateSession(ctx, { sessionId })),
        )
      default:
        return this.#change(deed, sessionId)
    }
  }

  async #send(sessionId: string, mode: "queue" | "steer"): Promise<void> {
    const promptId = `p-${this.actor.name}-${++this.#sentHere}`
    const text = `please do ${promptId}`
    this.#deeds.sent.set(promptId, { text, mode })
    await this.#sendAs(sessionId, promptId, text, mode)
  }

  async #sendAs(
    sessionId: string,
    promptId: string,
    text: string,
    mode: "queue" | "steer",
  ): Promise<void> {
    const input = {
      promptId: promptIdSchema.parse(promptId),
      sessionId: sessionIdSchema.parse(sessionId),
      text,
      mode,
    }
    await this.#insist(`send ${promptId} ${mode}`, (ctx) => sendPrompt(ctx, input))
    this.#deeds.accepted.add(promptId)
  }

  async #change(deed: Change, sessionId: string): Promise<void> {
    const deeds = this.#deeds
    const wanted = STATES[deed]
    const { items } = await this.#insist("list", (ctx) =>
      listPrompts(ctx, { sessionId, limit: LIST_LIMIT }),
    )
    const chosen = this.#simulation.random.pick(items.filter(({ state }) => wanted.includes(state)))
    if (!chosen) return
    const { id: promptId } = chosen
    const what = `${deed} ${promptId}`
    if (deed === "edit") {
      const text = `${chosen.text.split(" /")[0]} / ${this.#simulation.random.int(1, 99)}`
      deeds.edits.set(promptId, (deeds.edits.get(promptId) ?? new Set()).add(text))
      await this.#insist(what, (ctx) => editPrompt(ctx, { promptId, text }))
      return
    }
    if (deed === "withdraw") deeds.withdrawals.add(promptId)
    const verb = VERBS[deed]
    await this.#insist(what, (ctx) => {
      if (deed === "retry") deeds.retries.set(promptId, (deeds.retries.get(promptId) ?? 0) + 1)
      return verb(ctx, { promptId })
    })
  }

  /** Asks again until there is an answer. */
  async #insist<Value>(what: string, verb: (ctx: DomainContext) => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await this.#network.call(
          "person-web",
          `${this.actor.name} ${what}`,
          REQUEST_MS,
          () => this.#web.serve(what, this.actor, verb),
        )
      } catch (error) {
        if (error instanceof DomainError && !(error instanceof Unavailable)) throw error
        await this.process.sleep(this.#simulation.random.int(100, RETRY_MS))
      }
    }
  }
}

type Change = "withdraw" | "edit" | "promote" | "stop" | "retry"

/** What a deed can be done to. */
const STATES: Record<Change, readonly string[]> = {
  withdraw: ["queued"],
  edit: ["queued"],
  promote: ["queued"],
  stop: ["dispatched", "running"],
  retry: ["failed", "stopped", "interrupted"],
}

const VERBS = {
  withdraw: withdrawPrompt,
  promote: promotePrompt,
  stop: stopPrompt,
  retry: retryPrompt,
}

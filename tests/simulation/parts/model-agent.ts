import type { Agent, AgentListener } from "../../../runner/src/agent/agent.ts"
import { AgentCallFailed, type AgentPrompt } from "../../../runner/src/agent/opencode.ts"
import { decodeEvent, messagesSchema } from "../../../runner/src/agent/wire.ts"
import type { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { AgentStore } from "./agent-store.ts"
import { ModelTurn, type TurnKind } from "./model-turn.ts"

/** How the agent and its model behave in one history. */
export type AgentTemper = {
  turns: Partial<Record<TurnKind, number>>
  sizes: { pieces: number; pieceChars: number; outputChars: number }
  /** Chance that a call gets no answer; half of them are done all the same. */
  noAnswer: number
  /** Chance per turn that its event stream breaks for a while. */
  gaps: number
  /** Chance that it does not heed an abort. */
  stubborn: number
}

const CALL_MS = 12
const LONG_CALL_MS = 2_000
const RESTART_MS = 900
const EVENT_MS = 8
const GAP_MS = 1_500

/** OpenCode in one process: a store that outlives it, one session at work at a time, events that follow the store. */
export class ModelAgent implements Agent {
  readonly models: ReadonlySet<string>
  readonly #process: SimulatedProcess
  readonly #store: AgentStore
  readonly #temper: AgentTemper
  readonly #listeners = new Set<AgentListener>()
  #up: Promise<void> = Promise.resolve()
  #isUp = true
  #turn: ModelTurn | null = null
  #status: "idle" | "busy" = "idle"
  #toldUntil = 0
  #deafUntil = 0

  constructor(
    process: SimulatedProcess,
    store: AgentStore,
    temper: AgentTemper,
    models: readonly string[],
  ) {
    this.#process = process
    this.#store = store
    this.#temper = temper
    this.models = new Set(models)
  }

  readonly calls: Agent["calls"] = {
    createSession: () =>
      this.#answer("session.create", () => {
        const id = this.#store.nextId("ses_", this.#process.world.now)
        this.#store.sessions.set(id, [])
        return id
      }),
    hasSession: (id) => this.#answer("session.get", () => this.#store.sessions.has(id)),
    deleteSession: (id) =>
      this.#answer("session.delete", () => void this.#store.sessions.delete(id)),
    steer: (prompt) => this.#answer("session.prompt", () => this.#take(prompt)),
    prompt: (prompt) => this.#answer("session.promptAsync", () => this.#begin(prompt)),
    abort: (id) => this.#answer("session.abort", () => this.#abort(id)),
    status: () => this.#answer("session.status", () => this.#status),
    messagesFrom: (sessionId, messageId) =>
      this.#answer("session.messages", () => {
        const messages = this.#store.messages(sessionId)
        const start = messages.findIndex(({ info }) => info.id === messageId)
        const from = start < 0 ? messages : messages.slice(start)
        return messagesSchema.parse(JSON.parse(JSON.stringify(from)))
      }),
    hasMessage: (sessionId, messageId) =>
      this.#answer("session.message", () =>
        this.#store.messages(sessionId).some(({ info }) => info.id === messageId),
      ),
    deleteMessage: (sessionId, messageId) =>
      this.#answer("session.deleteMessage", () => {
        this.#store.delete(sessionId, messageId)
      }),
    rejectPermission: () => this.#answer("permission.reply", () => undefined),
    rejectQuestion: () => this.#answer("question.reject", () => undefined),
  }

  subscribe(listener: AgentListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  whenUp = () => this.#up
  whenAnswering = () => this.#up

  restart(): Promise<void> {
    this.#stop()
    this.#up = this.#start()
    return this.#up
  }

  async warmUp(): Promise<void> {
    await this.#process.sleep(this.#random.int(100, 2_000))
  }

  async close(): Promise<void> {
    this.#stop()
  }

  /** The process dies unasked and is started again. */
  die(): void {
    if (!this.#isUp) return
    this.#stop()
    this.#up = this.#start()
    for (const listener of this.#listeners) listener.down("OpenCode exited on SIGKILL")
  }

  #stop(): void {
    this.#isUp = false
    this.#turn?.vanish()
    this.#turn = null
    this.#status = "idle"
  }

  async #start(): Promise<void> {
    await this.#process.sleep(this.#random.int(50, RESTART_MS))
    this.#isUp = true
  }

  /** Stores what a person said; a turn at work reads it at its next step. */
  #take({ sessionId, messageId, text }: AgentPrompt): void {
    const user = this.#store.addPrompt(sessionId, messageId, text, this.#process.world.now)
    this.#tell("message.updated", { sessionID: sessionId, info: structuredClone(user.info) })
  }

  #begin(prompt: AgentPrompt): void {
    if (this.#status === "busy") {
      this.#store.offences.push(`[D2] the agent is at work and is given ${prompt.text}`)
    }
    this.#take(prompt)
    const { sessionId } = prompt
    if (this.#random.chance(this.#temper.gaps)) this.#loseEvents()
    this.#status = "busy"
    const kind = this.#random.weighted(this.#temper.turns)
    const turn = new ModelTurn(kind, sessionId, this.#temper.sizes, {
      process: this.#process,
      random: this.#random,
      store: this.#store,
      tell: (type, properties) => this.#tell(type, { sessionID: sessionId, ...properties }),
      die: () => this.die(),
      over: () => {
        if (this.#turn === turn) this.#status = "idle"
      },
    })
    this.#turn = turn
    // One that is taken and never begins leaves the session as idle as it was.
    if (kind === "never-begins") this.#status = "idle"
    void turn.play()
  }

  #abort(sessionId: string): void {
    const turn = this.#turn
    if (!turn || turn.isOver) {
      this.#status = "idle"
      this.#tell("session.status", { sessionID: sessionId, status: { type: "idle" } })
      this.#tell("session.idle", { sessionID: sessionId })
      return
    }
    if (!this.#random.chance(this.#temper.stubborn)) void turn.abort()
  }

  /** Events follow the store at a short distance, in their order. */
  #tell(type: string, properties: object): void {
    const { now } = this.#process.world
    this.#toldUntil = Math.max(this.#toldUntil, now + this.#random.int(0, EVENT_MS))
    const item = { payload: { type, properties } }
    this.#process.after(this.#toldUntil - now, () => this.#hand(item))
  }

  #hand(item: object): void {
    if (!this.#isUp || this.#process.world.now < this.#deafUntil) return
    const decoded = decodeEvent(item)
    if (decoded.kind !== "event") throw new Error(`unreadable: ${JSON.stringify(decoded)}`)
    for (const listener of this.#listeners) listener.event(decoded.event)
  }

  /** The event stream breaks, and is opened again a while later. */
  #loseEvents(): void {
    this.#process.after(this.#random.int(0, 2_000), () => {
      const deafMs = this.#random.int(10, GAP_MS)
      this.#deafUntil = this.#process.world.now + deafMs
      this.#process.after(deafMs, () => {
        for (const listener of this.#listeners) listener.gap()
      })
    })
  }

  /** A call takes a while, may get no answer, and is refused by a process that is gone. */
  async #answer<Value>(name: string, work: () => Value): Promise<Value> {
    await this.#process.sleep(this.#random.int(1, CALL_MS))
    const fails = this.#random.chance(this.#temper.noAnswer)
    if (!this.#isUp) throw new AgentCallFailed(name, null, "connect ECONNREFUSED")
    if (fails && this.#random.chance(0.5)) return this.#noAnswer(name)
    const value = work()
    if (fails) return this.#noAnswer(name)
    await this.#process.sleep(this.#random.int(0, CALL_MS))
    return value
  }

  async #noAnswer(name: string): Promise<never> {
    await this.#process.sleep(this.#random.int(1, LONG_CALL_MS))
    throw new AgentCallFailed(name, null, "timeout")
  }

  get #random() {
    return this.#process.world.random
  }
}

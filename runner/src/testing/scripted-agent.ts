import type { Agent, AgentListener } from "../agent/agent.ts"
import { AgentCallFailed, type AgentPrompt } from "../agent/opencode.ts"
import { type AgentEvent, type AgentMessage, decodeEvent, messagesSchema } from "../agent/wire.ts"

/** An agent whose every answer the test decides. It remembers what it was asked. */
export class ScriptedAgent implements Agent {
  readonly models = new Set(["demo/chat"])
  readonly prompts: AgentPrompt[] = []
  readonly steers: AgentPrompt[] = []
  readonly asked: string[] = []
  messages: AgentMessage[] = []
  status: "idle" | "busy" = "idle"
  /** What happens when a prompt arrives; throws to leave the runner in doubt. */
  onPrompt: (prompt: AgentPrompt) => void = () => undefined
  /** What happens when a steer arrives. */
  onSteer: (steer: AgentPrompt) => void | Promise<void> = () => undefined
  /** What happens when it is told to stop. */
  onAbort: () => void = () => this.fallIdle()
  up: Promise<void> = Promise.resolve()
  readonly #listeners = new Set<AgentListener>()
  #sessions = 0

  readonly calls: Agent["calls"] = {
    createSession: async () => {
      this.#sessions += 1
      return `ses_${this.#sessions}`
    },
    hasSession: async () => true,
    deleteSession: async () => undefined,
    prompt: async (prompt) => {
      this.prompts.push(prompt)
      this.onPrompt(prompt)
    },
    steer: async (steer) => {
      this.steers.push(steer)
      await this.onSteer(steer)
    },
    abort: async () => {
      this.asked.push("abort")
      this.onAbort()
    },
    status: async () => this.status,
    messagesFrom: async (_session, messageId) => {
      const start = this.messages.findIndex(({ info }) => info.id === messageId)
      return start < 0 ? this.messages : this.messages.slice(start)
    },
    hasMessage: async (_session, messageId) => {
      return this.messages.some(({ info }) => info.id === messageId)
    },
    deleteMessage: async (_session, messageId) => {
      this.asked.push(`delete ${messageId}`)
      this.messages = this.messages.filter(({ info }) => info.id !== messageId)
    },
    rejectPermission: async (id) => {
      this.asked.push(`reject ${id}`)
    },
    rejectQuestion: async (id) => {
      this.asked.push(`reject ${id}`)
    },
  }

  subscribe(listener: AgentListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listening(): number {
    return this.#listeners.size
  }

  whenUp = () => this.up
  whenAnswering = () => this.up

  async restart(): Promise<void> {
    this.asked.push("restart")
    this.status = "idle"
  }

  async warmUp(): Promise<void> {}
  async close(): Promise<void> {}

  event(type: string, properties: object): void {
    const item = { payload: { type, properties: { sessionID: "ses_1", ...properties } } }
    const decoded = decodeEvent(item)
    if (decoded.kind !== "event") throw new Error(`${type}: ${JSON.stringify(decoded)}`)
    this.#tell(decoded.event)
  }

  fallBusy(): void {
    this.status = "busy"
    this.event("session.status", { status: { type: "busy" } })
  }

  fallIdle(): void {
    this.status = "idle"
    this.event("session.idle", {})
  }

  die(): void {
    for (const listener of this.#listeners) listener.down("OpenCode exited on SIGKILL")
  }

  miss(): void {
    for (const listener of this.#listeners) listener.gap()
  }

  /** Has the agent hold the person's message, and an answer to it when there is a text. */
  hold(messageId: string, text: string | null, more: object = {}): void {
    const info = { id: messageId, sessionID: "ses_1", role: "user", time: {} }
    const answer = `${messageId}~answer`
    const part = { id: "prt_1", sessionID: "ses_1", messageID: answer, type: "text" }
    const messages = [
      { info, parts: [] },
      {
        info: {
          id: answer,
          sessionID: "ses_1",
          role: "assistant",
          parentID: messageId,
          time: { completed: 1 },
          ...more,
        },
        parts: text === null ? [] : [{ ...part, text, time: { start: 1, end: 2 } }],
      },
    ]
    this.messages = messagesSchema.parse(
      text === null && !("error" in more) ? messages.slice(0, 1) : messages,
    )
  }

  /** Streams the beginning of an answer. */
  write(text: string): void {
    const [messageID] = [`${this.prompts.at(-1)?.messageId}~answer`]
    const part = { id: "prt_1", sessionID: "ses_1", messageID, type: "text", text: "" }
    this.event("message.part.updated", { part: { ...part, time: { start: 1 } } })
    this.event("message.part.delta", { messageID, partID: "prt_1", field: "text", delta: text })
  }

  #tell(event: AgentEvent): void {
    for (const listener of this.#listeners) listener.event(event)
  }
}

/** A call that got no answer at all. */
export const noAnswer = () => new AgentCallFailed("session.promptAsync", null, "timeout")

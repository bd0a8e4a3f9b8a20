export type StoredPart = {
  id: string
  sessionID: string
  messageID: string
  type: "text" | "reasoning" | "tool"
  text?: string
  tool?: string
  callID?: string
  state?: Record<string, unknown> & { status: string }
  time?: { start: number; end?: number }
}

export type StoredMessage = {
  info: {
    id: string
    sessionID: string
    role: "user" | "assistant"
    parentID?: string
    finish?: string
    error?: { name: string; data: Record<string, unknown> }
    time: { created: number; completed?: number }
  }
  parts: StoredPart[]
}

/** What OpenCode keeps on disk: its sessions, and every prompt it ever carried out. */
export class AgentStore {
  readonly sessions = new Map<string, StoredMessage[]>()
  /** Each prompt that the model was asked to carry out, in order. */
  readonly taken: { messageId: string; text: string }[] = []
  /** Prompts that are stored and were not read yet: text by message id. */
  readonly #unread = new Map<string, string>()
  /** Every part that was ever begun, as it is now. */
  readonly parts = new Map<string, StoredPart>()
  readonly offences: string[] = []

  #ids = 0

  /** OpenCode's ids sort by their time, and those of one millisecond by a counter. */
  nextId(prefix: string, nowMs: number): string {
    this.#ids += 1
    // The runner's own ids take the first number of a millisecond.
    const count = 2 + (this.#ids % 4_000)
    const time = BigInt.asUintN(48, BigInt(nowMs) * 4096n + BigInt(count))
    return `${prefix}${time.toString(16).padStart(12, "0")}${String(this.#ids).padStart(14, "0")}`
  }

  /** A person's message. Nobody acts on it before {@link read}. */
  addPrompt(sessionId: string, messageId: string, text: string, nowMs: number): StoredMessage {
    const time = { created: nowMs }
    const info = { id: messageId, sessionID: sessionId, role: "user", time } as const
    const message: StoredMessage = { info, parts: [] }
    this.messages(sessionId).push(message)
    this.#unread.set(messageId, text)
    return message
  }

  /** A step of the model begins: everything that was said by now is read. Answers the newest message's id. */
  read(sessionId: string): string {
    for (const [messageId, text] of this.#unread) this.taken.push({ messageId, text })
    this.#unread.clear()
    const newest = this.messages(sessionId).findLast(({ info }) => info.role === "user")
    if (!newest) throw new Error("the model begins without a prompt")
    return newest.info.id
  }

  delete(sessionId: string, messageId: string): void {
    const messages = this.messages(sessionId)
    const at = messages.findIndex(({ info }) => info.id === messageId)
    if (at >= 0) messages.splice(at, 1)
    this.#unread.delete(messageId)
  }

  messages(sessionId: string): StoredMessage[] {
    const messages = this.sessions.get(sessionId)
    if (!messages) throw new Error(`the agent has no session ${sessionId}`)
    return messages
  }

  addPart(message: StoredMessage, part: StoredPart): void {
    message.parts.push(part)
    this.parts.set(part.id, part)
  }
}

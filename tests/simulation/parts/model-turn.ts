import type { Random } from "../kernel/random.ts"
import type { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { AgentStore, StoredMessage, StoredPart } from "./agent-store.ts"

export type TurnKind =
  /** Texts and tools to a good end. */
  | "works"
  /** The model refuses in the middle. */
  | "refused"
  /** The model is silent for ever. */
  | "silent"
  /** The model is asked again a few times before it answers, or never does. */
  | "retries"
  /** The stream ends in the middle of an answer. */
  | "breaks-off"
  /** The agent takes the prompt and never begins. */
  | "never-begins"
  /** The agent's process dies. */
  | "dies"

/** Those that may come in the middle of a text, which then stays open. */
const MIDWAY: ReadonlySet<TurnKind> = new Set(["refused", "silent", "breaks-off", "dies"])

export type Tell = (type: string, properties: object) => void

type Surroundings = {
  process: SimulatedProcess
  random: Random
  store: AgentStore
  tell: Tell
  /** The agent's process dies over it. */
  die(): void
  /** The session is idle again. */
  over(): void
}

/** What OpenCode does with one prompt, told as its events tell it. Its store is always ahead of its events. */
export class ModelTurn {
  readonly #kind: TurnKind
  readonly #sessionId: string
  readonly #around: Surroundings
  readonly #sizes: { pieces: number; pieceChars: number; outputChars: number }
  #message: StoredMessage | null = null
  #open: StoredPart | null = null
  #ended = false

  constructor(
    kind: TurnKind,
    sessionId: string,
    sizes: { pieces: number; pieceChars: number; outputChars: number },
    around: Surroundings,
  ) {
    this.#kind = kind
    this.#sessionId = sessionId
    this.#sizes = sizes
    this.#around = around
  }

  get isOver(): boolean {
    return this.#ended
  }

  async play(): Promise<void> {
    const { random } = this.#around
    if (this.#kind === "never-begins") return
    if (!(await this.#pause(5, 400))) return
    this.#status({ type: "busy" })
    if (this.#kind === "retries" && !(await this.#retry())) return
    const answers = random.int(1, 3)
    for (let answer = 1; answer <= answers; answer++) {
      const isLast = answer === answers
      this.#beginMessage()
      if (random.chance(0.3) && !(await this.#write("reasoning"))) return
      if ((isLast || random.chance(0.6)) && !(await this.#write("text"))) return
      if (isLast && !(await this.#trouble())) return
      if (!isLast && !(await this.#runTool())) return
      this.#completeMessage(isLast ? "stop" : "tool-calls")
    }
    this.#idle()
  }

  /** As OpenCode does when it is told to stop: what was begun is closed, the message carries the reason. */
  async abort(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const error = { name: "MessageAbortedError", data: { message: "Aborted" } }
    const isTool = this.#open?.type === "tool"
    if (isTool) this.#tellIdle(error)
    await this.#around.process.sleep(this.#around.random.int(0, 30))
    this.#closeOpen()
    if (this.#message) this.#complete(this.#message, { error })
    if (!isTool) this.#around.tell("session.error", { error })
    this.#tellIdle(null)
  }

  /** The process is gone: nothing more is written or told. */
  vanish(): void {
    this.#ended = true
  }

  async #trouble(): Promise<boolean> {
    switch (this.#kind) {
      case "refused":
        return this.#refuse()
      case "silent":
        return false
      case "breaks-off":
        this.#closeOpen()
        this.#completeMessage("unknown")
        this.#idle()
        return false
      case "dies":
        if (await this.#pause(0, 500)) this.#around.die()
        return false
      default:
        return true
    }
  }

  #refuse(): boolean {
    const data = { message: "The model is overloaded", statusCode: 500 }
    const error = { name: "APIError", data }
    if (this.#message) this.#complete(this.#message, { error })
    this.#around.tell("session.error", { error })
    this.#idle()
    return false
  }

  async #retry(): Promise<boolean> {
    const { random, process } = this.#around
    for (let attempt = 1; attempt <= random.int(1, 4); attempt++) {
      const waitMs = random.int(500, 3_000)
      const next = process.world.now + waitMs
      this.#status({ type: "retry", attempt, message: "Overloaded", next })
      if (!(await this.#pause(waitMs, waitMs))) return false
    }
    this.#status({ type: "busy" })
    return true
  }

  async #write(type: "text" | "reasoning"): Promise<boolean> {
    const { random } = this.#around
    const part = this.#begin({ type, text: "", time: { start: this.#now } })
    const pieces = random.int(1, this.#sizes.pieces)
    for (let piece = 0; piece < pieces; piece++) {
      if (!(await this.#pause(1, 120))) return false
      const delta = words(random, this.#sizes.pieceChars)
      part.text += delta
      const { id: partID, messageID } = part
      this.#around.tell("message.part.delta", { messageID, partID, field: "text", delta })
      if (MIDWAY.has(this.#kind) && piece === 3 && random.chance(0.5)) return this.#trouble()
    }
    if (!(await this.#pause(0, 60))) return false
    this.#closeOpen()
    return true
  }

  async #runTool(): Promise<boolean> {
    const { random } = this.#around
    const input = { command: `do ${random.int(1, 99)}`, description: "Do it" }
    const start = this.#now
    const part = this.#begin({
      type: "tool",
      tool: "bash",
      callID: `call_${this.#nextId("")}`,
      state: { status: "pending", input: {} },
    })
    const change = (state: StoredPart["state"]) => {
      part.state = state
      this.#tellPart(part)
    }
    if (!(await this.#pause(1, 200))) return false
    let output = ""
    for (let step = 0; step <= random.int(0, 4); step++) {
      change({ status: "running", input, metadata: { output }, time: { start } })
      if (!(await this.#pause(10, 700))) return false
      output += `${words(random, this.#sizes.outputChars)}\n`
    }
    const time = { start, end: this.#now }
    this.#open = null
    if (random.chance(0.2)) change({ status: "error", input, error: "It failed", time })
    else change({ status: "completed", input, output, title: "Do it", metadata: { output }, time })
    return true
  }

  #beginMessage(): void {
    this.#message = {
      info: {
        id: this.#nextId("msg_"),
        sessionID: this.#sessionId,
        role: "assistant",
        parentID: this.#around.store.read(this.#sessionId),
        time: { created: this.#now },
      },
      parts: [],
    }
    this.#around.store.messages(this.#sessionId).push(this.#message)
    this.#tellMessage(this.#message)
  }

  #completeMessage(finish: string): void {
    if (this.#message) this.#complete(this.#message, { finish })
    this.#message = null
  }

  #complete({ info, parts }: StoredMessage, how: Partial<StoredMessage["info"]>): void {
    Object.assign(info, how)
    info.time.completed = this.#now
    this.#tellMessage({ info, parts })
  }

  #begin(fields: Omit<StoredPart, "id" | "sessionID" | "messageID">): StoredPart {
    const message = this.#message
    if (!message) throw new Error("a part needs a message")
    const messageID = message.info.id
    const part = { id: this.#nextId("prt_"), sessionID: this.#sessionId, messageID, ...fields }
    this.#around.store.addPart(message, part)
    this.#open = part
    this.#tellPart(part)
    return part
  }

  /** Ends what is open as far as it came. The agent cuts the spaces at the end of a text off. */
  #closeOpen(): void {
    const part = this.#open
    this.#open = null
    if (!part) return
    if (part.type === "tool") {
      const input = part.state?.input ?? {}
      part.state = { status: "error", input, error: "Tool execution aborted" }
    } else {
      if (part.type === "text") part.text = part.text?.trimEnd()
      part.time = { start: part.time?.start ?? this.#now, end: this.#now }
    }
    this.#tellPart(part)
  }

  #idle(): void {
    this.#ended = true
    this.#tellIdle(null)
  }

  #tellIdle(error: object | null): void {
    if (error) this.#around.tell("session.error", { error })
    this.#around.over()
    this.#status({ type: "idle" })
    this.#around.tell("session.idle", {})
  }

  #status(status: object): void {
    this.#around.tell("session.status", { status })
  }

  #tellPart(part: StoredPart): void {
    this.#around.tell("message.part.updated", { part: structuredClone(part) })
  }

  #tellMessage({ info }: StoredMessage): void {
    this.#around.tell("message.updated", { info: structuredClone(info) })
  }

  /** False when the turn ended meanwhile. */
  async #pause(min: number, max: number): Promise<boolean> {
    await this.#around.process.sleep(this.#around.random.int(min, max))
    return !this.#ended
  }

  get #now(): number {
    return this.#around.process.world.now
  }

  #nextId(prefix: string): string {
    return this.#around.store.nextId(prefix, this.#now)
  }
}

const WORDS = ["so", "then", "the", "test", "fails", "because", "of", "a", "missing", "line", "😀"]

function words(random: Random, atMost: number): string {
  const count = random.int(1, Math.max(1, atMost))
  let text = ""
  while (text.length < count) text += `${random.pick(WORDS) ?? ""} `
  return random.chance(0.2) ? text.slice(0, count) : text
}

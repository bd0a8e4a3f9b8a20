import type { DraftEntry } from "../../protocol/entry.ts"
import { type ToRunner, toRunnerSchema } from "../../protocol/runner.ts"
import { PROTOCOL_VERSION } from "../../protocol/version.ts"
import type { AttemptRef, Claim, OutboxItem, TerminalState } from "../../protocol/work.ts"
import { promptId, runnerOf, textOf, toolOf } from "./samples.ts"
import { type Socket, say, type World } from "./world.ts"

type Steer = { claim: Claim; state: "accepted" | "running" | "returned" | TerminalState }
type AgentText = { key: string; turnId: string; text: string; done: boolean }

/** A sandbox's runner and agent: an outbox that survives, a socket that does not. */
export class ModelRunner {
  readonly generation: number
  socket: Socket | null = null
  readonly outbox: OutboxItem[] = []
  acked = 0
  /** What the agent itself holds, by key. */
  readonly texts = new Map<string, AgentText>()
  /** Version of each tool, as its output says it. */
  readonly tools = new Map<string, number>()
  /** Attempts that were executed here: `promptId/attempt`. */
  readonly executed: string[] = []
  live: Claim | null = null
  readonly #steers: Steer[] = []
  ended: (AttemptRef & { state: TerminalState })[] = []
  #welcomed = false
  #keys = 0
  readonly #world: World

  constructor(world: World, generation: number) {
    this.#world = world
    this.generation = generation
    this.#put({
      report: { type: "boot.ready", generation, baseCommit: "abc1234", branch: "main" },
    })
  }

  get connected(): boolean {
    return this.socket !== null && this.socket.closed === null
  }

  connect(): void {
    if (this.connected) return
    this.#welcomed = false
    this.socket = this.#world.openRunner(runnerOf(this.generation))
    if (this.socket.closed) return
    const { generation } = this
    const attempt = this.live && { promptId: this.live.promptId, attempt: this.live.attempt }
    const streamId = `stream-of-${generation}`
    say(this.socket, { type: "hello", protocol: PROTOCOL_VERSION, generation, streamId, attempt })
  }

  disconnect(): void {
    if (this.socket) this.#world.disconnect(this.socket)
    this.socket = null
  }

  /** The room hears so many of the messages under way. */
  deliver(count = Number.POSITIVE_INFINITY, dieAfter?: number): void {
    for (let i = 0; i < count && this.connected && this.socket?.toRoom.length; i++) {
      this.#world.deliverToRoom(this.socket, dieAfter)
    }
  }

  /** Reads what the room said, also what came before a close. */
  read(): void {
    for (const text of this.socket?.toClient.splice(0) ?? []) {
      this.#take(toRunnerSchema.parse(JSON.parse(text)))
    }
  }

  /** The agent begins a text. */
  begin(text: string): void {
    if (!this.live) return
    const key = this.#newKey("text")
    this.texts.set(key, { key, turnId: this.live.turnId, text, done: false })
    this.#checkpoint(key)
  }

  /** The agent streams into its newest open text, or begins one. */
  stream(piece: string) {
    const open = this.#openText()
    if (!open) return this.begin(piece)
    const offset = open.text.length
    open.text += piece
    if (this.#welcomed && this.socket && this.connected) {
      say(this.socket, { type: "deltas", deltas: [[open.key, offset, piece]] })
    }
  }

  checkpoint(): void {
    const open = this.#openText()
    if (open) this.#checkpoint(open.key)
  }

  finishText(): void {
    const open = this.#openText()
    if (!open) return
    open.done = true
    this.#checkpoint(open.key)
  }

  /** The agent starts a tool, or goes on with one. */
  useTool(): void {
    if (!this.live) return
    const key = [...this.tools.keys()].at(-1) ?? this.#newKey("tool")
    const version = (this.tools.get(key) ?? 0) + 1
    this.tools.set(key, version)
    this.#write(toolOf(key, this.live.turnId, { output: String(version), state: "completed" }))
    if (version % 3 === 0) this.tools.set(this.#newKey("tool"), 0)
  }

  /** The agent writes so many small entries at once. */
  flood(count: number): void {
    const { live } = this
    if (!live) return
    for (let i = 0; i < count; i++) {
      const entry = toolOf(this.#newKey("tool"), live.turnId, { output: "0", state: "completed" })
      this.outbox.push({ entry })
    }
    if (this.#welcomed) this.#send(this.outbox.length - count + 1)
  }

  /** The agent begins a step, in which it reads its steers. */
  readSteers(): void {
    for (const steer of this.#steers) {
      if (steer.state !== "accepted") continue
      steer.state = "running"
      this.executed.push(`${steer.claim.promptId}/${steer.claim.attempt}`)
      this.#tellSteer(steer)
    }
  }

  endTurn(state: TerminalState): void {
    if (!this.live) return
    while (this.#openText()) this.finishText()
    for (const steer of this.#steers) {
      if (steer.state !== "accepted" && steer.state !== "running") continue
      steer.state = steer.state === "running" ? state : "returned"
      this.#tellSteer(steer)
    }
    const { promptId: id, attempt } = this.live
    this.live = null
    this.ended.push({ promptId: id, attempt, state })
    this.#put({ report: { type: "attempt.ended", promptId: id, attempt, state, error: null } })
  }

  /** The process dies and starts again: outbox and journal stay, the agent's turn does not. */
  restart(): void {
    this.disconnect()
    this.endTurn("interrupted")
  }

  #take(message: ToRunner) {
    switch (message.type) {
      case "welcome":
        this.#welcomed = true
        this.acked = Math.max(this.acked, message.acked)
        return this.#send(message.acked + 1)
      case "ack":
        this.acked = Math.max(this.acked, message.acked)
        return
      case "run":
        return this.#run(message.claim)
      case "stop":
        if (this.live?.promptId === message.promptId) this.endTurn("stopped")
        return
      case "report":
        return this.#report(message)
      case "resend":
        for (const key of message.keys) if (this.texts.has(key)) this.#checkpoint(key)
        return
      case "ask":
        return
      default:
        message satisfies never
    }
  }

  #run(claim: Claim) {
    const { promptId: id, attempt } = claim
    if (this.#isKnown(claim)) return this.#report(claim)
    if (claim.steers) return this.#steer(claim, claim.steers)
    this.live = claim
    this.executed.push(`${id}/${attempt}`)
    this.#put({ report: { type: "attempt.accepted", promptId: id, attempt } })
    this.#put({ report: { type: "attempt.running", promptId: id, attempt } })
  }

  #steer(claim: Claim, host: AttemptRef) {
    if (this.live?.promptId !== host.promptId || this.live.attempt !== host.attempt) return
    const steer: Steer = { claim, state: "accepted" }
    this.#steers.push(steer)
    this.#tellSteer(steer)
  }

  #steerOf({ promptId: id, attempt }: AttemptRef) {
    return this.#steers.find(({ claim }) => claim.promptId === id && claim.attempt === attempt)
  }

  #tellSteer({ claim, state }: Steer): void {
    const ref = { promptId: claim.promptId, attempt: claim.attempt }
    if (state === "accepted" || state === "running" || state === "returned") {
      this.#put({ report: { type: `attempt.${state}`, ...ref } })
    } else this.#put({ report: { type: "attempt.ended", ...ref, state, error: null } })
  }

  #report({ promptId: id, attempt }: AttemptRef) {
    const steer = this.#steerOf({ promptId: id, attempt })
    if (steer) return this.#tellSteer(steer)
    const over = this.ended.find((one) => one.promptId === id && one.attempt === attempt)
    if (over) this.#put({ report: { type: "attempt.ended", ...over, error: null } })
    else if (this.live) this.#put({ report: { type: "attempt.accepted", promptId: id, attempt } })
  }

  #isKnown({ promptId: id, attempt }: AttemptRef): boolean {
    const isSteer = this.#steerOf({ promptId: id, attempt }) !== undefined
    return isSteer || this.executed.includes(`${id}/${attempt}`)
  }

  #openText(): AgentText | undefined {
    return [...this.texts.values()].findLast(
      ({ done, turnId }) => !done && turnId === this.live?.turnId,
    )
  }

  #checkpoint(key: string): void {
    const held = this.texts.get(key)
    if (held) this.#write(textOf(key, promptId(held.turnId), held.text, { done: held.done }))
  }

  #write(entry: DraftEntry): void {
    this.#put({ entry })
  }

  #put(item: OutboxItem): void {
    this.outbox.push(item)
    if (this.#welcomed) this.#send(this.outbox.length)
  }

  #send(from: number): void {
    const items = this.outbox.slice(from - 1)
    if (items.length > 0 && this.socket && this.connected)
      say(this.socket, { type: "items", from, items })
  }

  #newKey(kind: string): string {
    this.#keys += 1
    return `${kind}-${this.generation}-${this.#keys}`
  }
}

import type { RoomAnswer, RoomCall, RoomPost } from "../../protocol/call.ts"
import type { SessionId } from "../../protocol/ids.ts"
import { type FromRunner, fromRunnerSchema } from "../../protocol/runner.ts"
import type { SandboxClaims, TicketClaims } from "../../protocol/token.ts"
import {
  type FromViewer,
  fromViewerSchema,
  type ToViewer,
  toViewerSchema,
} from "../../protocol/viewer.ts"
import type { Attachment } from "../connection.ts"
import type { Effect, EffectOf } from "../effects.ts"
import type { RoomInput } from "../input.ts"
import { reduce } from "../reduce.ts"
import { initialState, type RoomState } from "../state.ts"
import { MemoryStore } from "./memory-store.ts"

export const SESSION = "ses_0123456789" as SessionId

/** Both directions of a socket as queues: nothing arrives before it is delivered. */
export type Socket = {
  id: string
  role: "viewer" | "runner"
  toRoom: string[]
  toClient: string[]
  attachment: Attachment | null
  /** Set when either side closed it; the client may still read what came before. */
  closed: { code: number; reason: string } | null
}

/** After how many of its effects the process dies, if there are more; or what decides it, with null for not at all. */
export type DieAfter = number | ((effects: readonly Effect[]) => number | null)

/**
 * One room with its storage, its sockets and its clock, in one process and without time of its own: whoever holds the
 * world decides what happens next. It checks on the way that nothing is shown that is not stored (I5).
 */
export class World {
  now = 1_790_000_000_000
  store = new MemoryStore()
  state: RoomState
  readonly sockets = new Map<string, Socket>()
  readonly replies = new Map<string, RoomAnswer>()
  /** Posts that the server has not answered yet. */
  readonly posts: RoomPost[] = []
  readonly notes: EffectOf<"log">[] = []
  tickAt: number | null = null
  alarmAt: number | null = null
  #ids = 0

  constructor() {
    this.state = initialState({}, this.store, this.now)
    this.input({ type: "restored", connections: [] })
  }

  /** Hands the room one input and does what it decides, up to the death of the process if it dies of it. */
  input(input: RoomInput, dieAfter: DieAfter = Number.POSITIVE_INFINITY): Effect[] {
    const { state, effects } = reduce(this.state, input, this.now, this.store)
    this.state = state
    const done = typeof dieAfter === "number" ? dieAfter : dieAfter(effects)
    const dies = typeof dieAfter === "number" ? effects.length > dieAfter : done !== null
    for (const effect of dies ? effects.slice(0, done ?? 0) : effects) this.#run(effect)
    if (dies) this.crash()
    return effects
  }

  call(call: RoomCall): RoomAnswer {
    const replyId = this.callLater(call)
    const answer = this.replies.get(replyId)
    if (!answer) throw new Error(`the room has not answered ${call.call}`)
    return answer
  }

  /** For calls whose answer waits for somebody else. */
  callLater(call: RoomCall): string {
    const replyId = this.newId("reply")
    this.input({ type: "call", replyId, call })
    return replyId
  }

  openViewer(claims: TicketClaims): Socket {
    const socket = this.#socket("viewer")
    this.input({ type: "opened", role: "viewer", connection: socket.id, claims })
    return socket
  }

  openRunner(claims: SandboxClaims): Socket {
    const socket = this.#socket("runner")
    this.input({ type: "opened", role: "runner", connection: socket.id, claims })
    return socket
  }

  /** The room reads the next message of a socket, if there is one. */
  deliverToRoom(socket: Socket, dieAfter?: DieAfter): void {
    const text = socket.toRoom.shift()
    if (text === undefined || socket.closed) return
    const connection = socket.id
    const json: unknown = JSON.parse(text)
    if (socket.role === "runner") {
      const message = fromRunnerSchema.parse(json)
      this.input({ type: "runner-said", connection, message, chars: text.length }, dieAfter)
      return
    }
    const message = fromViewerSchema.parse(json)
    if (message.type === "renew") throw new Error("the adapter verifies a renewal: input `renewed`")
    this.input({ type: "viewer-said", connection, message }, dieAfter)
  }

  /** The client closes, or the network does. */
  disconnect(socket: Socket): void {
    if (socket.closed) return
    socket.closed = { code: 1006, reason: "" }
    this.input({ type: "closed", connection: socket.id })
  }

  /** The process dies: memory, timers, sockets and posts are gone, storage and the alarm stay. */
  crash(): void {
    for (const socket of this.sockets.values()) socket.closed ??= { code: 1006, reason: "" }
    this.sockets.clear()
    this.posts.length = 0
    this.#start([])
  }

  /** The platform puts an idle room to sleep and wakes it: sockets stay open, memory is gone. */
  hibernate(): void {
    if (this.tickAt !== null || this.posts.length > 0) return
    const connections: { connection: string; attachment: Attachment }[] = []
    for (const { id, attachment, closed } of this.sockets.values()) {
      if (attachment && !closed) connections.push({ connection: id, attachment })
    }
    this.#start(connections)
  }

  /** Storage is lost as well. */
  wipe(): void {
    this.store = new MemoryStore()
    this.crash()
  }

  /** Time passes; what is due in between fires at its time. */
  sleep(ms: number, runnerHeardAt: number | null = null): void {
    const until = this.now + ms
    for (;;) {
      const next = Math.min(this.tickAt ?? until + 1, this.alarmAt ?? until + 1)
      if (next > until) break
      this.now = Math.max(this.now, next)
      if (this.tickAt !== null && this.tickAt <= this.now) {
        this.tickAt = null
        this.input({ type: "tick", runnerHeardAt })
      } else {
        this.alarmAt = null
        this.input({ type: "alarm", runnerHeardAt })
      }
    }
    this.now = until
  }

  newId(prefix: string): string {
    this.#ids += 1
    return `${prefix}-${this.#ids}`
  }

  #start(connections: { connection: string; attachment: Attachment }[]): void {
    this.tickAt = null
    this.state = initialState(structuredClone(this.store.meta), this.store, this.now)
    this.input({ type: "restored", connections })
  }

  #socket(role: Socket["role"]): Socket {
    const socket: Socket = {
      id: this.newId(role),
      role,
      toRoom: [],
      toClient: [],
      attachment: null,
      closed: null,
    }
    this.sockets.set(socket.id, socket)
    return socket
  }

  #run(effect: Effect) {
    switch (effect.effect) {
      case "store":
        return this.store.apply(effect)
      case "to-runner":
        this.#send(effect.connection, JSON.stringify(effect.message))
        return
      case "to-viewers":
        this.#checkShown(toViewerSchema.parse(JSON.parse(effect.text)))
        for (const id of effect.connections) this.#send(id, effect.text)
        return
      case "attach": {
        const socket = this.sockets.get(effect.connection)
        if (socket) socket.attachment = structuredClone(effect.attachment)
        return
      }
      case "close": {
        const { code, reason, connection } = effect
        const socket = this.sockets.get(connection)
        if (socket) socket.closed = { code, reason }
        this.sockets.delete(connection)
        return
      }
      case "post":
        this.posts.push(this.#postOf(effect))
        return
      case "reply":
        this.replies.set(effect.replyId, effect.answer)
        return
      case "tickAt":
        this.tickAt = effect.at
        return
      case "alarmAt":
        this.alarmAt = effect.at
        return
      case "noAlarm":
        this.alarmAt = null
        return
      case "log":
        this.notes.push(effect)
        return
      default:
        effect satisfies never
    }
  }

  #send(connection: string, text: string): void {
    const socket = this.sockets.get(connection)
    if (!socket) throw new Error(`a message goes to ${connection}, which is closed`)
    socket.toClient.push(text)
  }

  #postOf(effect: EffectOf<"post">): RoomPost {
    const { generation } = effect
    if (effect.post === "claim-next") return { post: "claim-next", sessionId: SESSION, generation }
    const { epoch, from, head, maxChars } = effect
    const { items, to } = this.store.batch(from, head, maxChars)
    return { post: "ingest", sessionId: SESSION, epoch, generation, from, to, items }
  }

  /** I5, E2: what a frame shows was stored before, under the same number. */
  #checkShown(message: ToViewer): void {
    if (message.type !== "frame") return
    for (const entry of message.entries ?? []) {
      const stored = this.store.history.get(entry.seq)
      if (stored?.body !== JSON.stringify(entry)) {
        throw new Error(`[I5] ${entry.key} is shown as ${entry.seq} but not stored so`)
      }
    }
    for (const [key, seq] of message.grown ?? []) {
      if (this.store.history.get(seq)?.key !== key) {
        throw new Error(`[I5] ${key} has grown to ${seq} but is not stored so`)
      }
    }
  }
}

/** What a client sends on its socket. */
export function say(socket: Socket, message: FromRunner | FromViewer): void {
  socket.toRoom.push(JSON.stringify(message))
}

import type { RoomAnswer } from "#protocol/call"
import type { Effect, EffectOf } from "../room/effects.ts"
import type { RoomInput } from "../room/input.ts"
import { reduce } from "../room/reduce.ts"
import { initialState, type RoomState } from "../room/state.ts"
import { ingestBatch } from "./ingest-batch.ts"
import { log } from "./log.ts"
import type { RoomStorage } from "./room-storage.ts"
import type { Sockets } from "./sockets.ts"

/** What the platform does for a room. */
export type Platform = {
  sessionId: string
  storage: RoomStorage
  sockets: Sockets
  /** Posts and comes back with the result as an input; never throws. */
  post(post: "ingest" | "claim-next", body: string): Promise<RoomInput>
  /** When a socket last gave a sign of life, pings included. */
  heardAt(connection: string): number | null
  setAlarm(at: number | null): void
  /** Gives this instance up, to be started again from what is stored. */
  abandon(what: string, error: unknown): never
}

/** Runs one room: each input is decided by the pure core and its effects are done before anything else happens. */
export class RoomHost {
  readonly #platform: Platform
  readonly #waiting = new Map<string, (answer: RoomAnswer) => void>()
  readonly #state: RoomState
  #timer: { at: number; handle: ReturnType<typeof setTimeout> } | null = null
  #nextReply = 0

  constructor(platform: Platform) {
    const { storage, sockets } = platform
    this.#platform = platform
    this.#state = initialState(storage.meta(), storage, Date.now())
    const connections = sockets.attached()
    log("room.started", { sessionId: platform.sessionId, sockets: connections.length })
    this.feed({ type: "restored", connections })
  }

  feed(input: RoomInput): void {
    const { storage, abandon } = this.#platform
    try {
      for (const effect of reduce(this.#state, input, Date.now(), storage).effects) this.#do(effect)
    } catch (error) {
      abandon(input.type, error)
    }
  }

  /** Feeds an input that is answered by a `reply` effect, now or later. */
  ask(input: (replyId: string) => RoomInput): Promise<RoomAnswer> {
    const replyId = String(this.#nextReply++)
    return new Promise((resolve) => {
      this.#waiting.set(replyId, resolve)
      this.feed(input(replyId))
    })
  }

  onAlarm(): void {
    this.feed({ type: "alarm", runnerHeardAt: this.#runnerHeardAt() })
  }

  #do(effect: Effect): void {
    const { storage, sockets, setAlarm, sessionId } = this.#platform
    switch (effect.effect) {
      case "store":
        storage.write(effect)
        break
      case "to-runner":
        sockets.send(effect.connection, JSON.stringify(effect.message))
        break
      case "to-viewers":
        for (const id of effect.connections) sockets.send(id, effect.text)
        break
      case "attach":
        sockets.attach(effect.connection, effect.attachment)
        break
      case "close":
        sockets.close(effect.connection, effect.code, effect.reason)
        break
      case "post":
        this.#post(effect)
        break
      case "reply":
        this.#waiting.get(effect.replyId)?.(effect.answer)
        this.#waiting.delete(effect.replyId)
        break
      case "tickAt":
        this.#tickAt(effect.at)
        break
      case "alarmAt":
        setAlarm(effect.at)
        break
      case "noAlarm":
        setAlarm(null)
        break
      case "log":
        log(effect.event, { sessionId, ...effect.detail })
        break
      default:
        effect satisfies never
    }
  }

  #post(effect: EffectOf<"post">): void {
    const { sessionId, storage } = this.#platform
    const body =
      effect.post === "ingest"
        ? ingestBatch(storage, sessionId, effect)
        : JSON.stringify({ post: "claim-next", sessionId, generation: effect.generation })
    void this.#platform.post(effect.post, body).then((result) => this.feed(result))
  }

  /** Timers are dear on this platform, so one that ends earlier is left: the room then says anew when it is due. */
  #tickAt(at: number): void {
    if (this.#timer && this.#timer.at <= at) return
    if (this.#timer) clearTimeout(this.#timer.handle)
    const tick = () => {
      this.#timer = null
      this.feed({ type: "tick", runnerHeardAt: this.#runnerHeardAt() })
    }
    this.#timer = { at, handle: setTimeout(tick, Math.max(0, at - Date.now())) }
  }

  #runnerHeardAt(): number | null {
    const { runner } = this.#state
    return runner === null ? null : this.#platform.heardAt(runner)
  }
}

import type { RoomAnswer } from "#protocol/call"
import type { Attachment } from "../room/connection.ts"
import type { Effect, EffectOf } from "../room/effects.ts"
import type { RoomInput } from "../room/input.ts"
import { reduce } from "../room/reduce.ts"
import { initialState, type RoomState } from "../room/state.ts"
import { ingestBatch } from "./ingest-batch.ts"
import { log } from "./log.ts"
import type { RoomStorage } from "./room-storage.ts"

/** A socket as the room's effects need it. */
export type RoomSocket = {
  send(text: string): void
  close(code: number, reason: string): void
  attach(attachment: Attachment): void
}

/** What the platform does for a room. */
export type Platform = {
  sessionId: string
  storage: RoomStorage
  now(): number
  socket(id: string): RoomSocket | undefined
  sockets(): { connection: string; attachment: Attachment }[]
  /** Posts and comes back with the result as an input; never throws. */
  post(post: "ingest" | "claim-next", body: string): Promise<RoomInput>
  /** When the runner's socket last gave a sign of life, pings included; null without a runner. */
  runnerHeardAt(): number | null
  setAlarm(at: number | null): void
  /** Gives this instance up, to be started again from what is stored. */
  abandon(reason: string): never
}

/** Runs one room: each input is decided by the pure core and its effects are done before anything else happens. */
export class RoomHost {
  readonly #platform: Platform
  readonly #waiting = new Map<string, (answer: RoomAnswer) => void>()
  readonly #state: RoomState
  #timer: ReturnType<typeof setTimeout> | null = null
  #nextReply = 0

  constructor(platform: Platform) {
    this.#platform = platform
    this.#state = initialState(platform.storage.meta(), platform.storage, platform.now())
    this.feed({ type: "restored", connections: platform.sockets() })
  }

  feed(input: RoomInput): void {
    const { storage, now } = this.#platform
    try {
      for (const effect of reduce(this.#state, input, now(), storage).effects) this.#do(effect)
    } catch (error) {
      // The state in memory may now be ahead of what is stored; the stored one is the truth.
      log("room.failed", { input: input.type, error: String(error) })
      this.#platform.abandon("The room failed and starts again")
    }
  }

  /** Feeds an input that is answered by a `reply` effect. */
  ask(input: (replyId: string) => RoomInput): Promise<RoomAnswer> {
    const replyId = String(this.#nextReply++)
    return new Promise((resolve) => {
      this.#waiting.set(replyId, resolve)
      this.feed(input(replyId))
    })
  }

  #do(effect: Effect): void {
    const { storage, socket, setAlarm, sessionId } = this.#platform
    switch (effect.effect) {
      case "store":
        storage.write(effect)
        break
      case "to-runner":
        this.#send(effect.connection, JSON.stringify(effect.message))
        break
      case "to-viewers":
        for (const id of effect.connections) this.#send(id, effect.text)
        break
      case "attach":
        socket(effect.connection)?.attach(effect.attachment)
        break
      case "close":
        socket(effect.connection)?.close(effect.code, effect.reason)
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

  #send(id: string, text: string): void {
    try {
      this.#platform.socket(id)?.send(text)
    } catch {
      // A socket that is closing reports its end by itself.
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

  #tickAt(at: number): void {
    clearTimeout(this.#timer)
    const wait = Math.max(0, at - this.#platform.now())
    this.#timer = setTimeout(() => {
      this.feed({ type: "tick", runnerHeardAt: this.#platform.runnerHeardAt() })
    }, wait)
  }
}

import type { ReportOf } from "#protocol/work"
import {
  admittedCall,
  type BrokerCall,
  type ModelPermit,
  modelPermitSchema,
} from "../adapter/internal.ts"
import { log } from "../adapter/log.ts"
import { roomOf } from "../adapter/rooms.ts"
import type { RoomsEnv } from "../env.ts"

const USAGE_TRIES = 4
const USAGE_RETRY_MS = 500

/** What the broker asks of the room of a token's session. */
export class SessionRoom {
  readonly #env: RoomsEnv
  readonly #sessionId: string
  readonly #generation: number

  constructor(env: RoomsEnv, { sub, gen }: { sub: string; gen: number }) {
    this.#env = env
    this.#sessionId = sub
    this.#generation = gen
  }

  /** Asked before each call, so that a fence or the session's end stops model calls at once. */
  async authorize(): Promise<ModelPermit> {
    const answer = await this.#ask({ call: "authorize-model" })
    return modelPermitSchema.parse(await answer.json())
  }

  /** Tells the room what a call used. The same call told twice counts once, by its id. */
  async recordUsage(usage: ReportOf<"model.usage">): Promise<void> {
    for (let tries = 1; tries <= USAGE_TRIES; tries++) {
      try {
        const answer = await this.#ask({ call: "usage", usage })
        if (answer.ok) return
      } catch {
        // The room restarts; it is asked again.
      }
      await new Promise((resolve) => setTimeout(resolve, USAGE_RETRY_MS * tries))
    }
    log("usage.lost", { sessionId: this.#sessionId, callId: usage.callId })
  }

  #ask(call: BrokerCall): Promise<Response> {
    const room = roomOf(this.#env, { name: "session", id: this.#sessionId })
    return room.fetch(admittedCall({ as: "broker", generation: this.#generation }, call))
  }
}

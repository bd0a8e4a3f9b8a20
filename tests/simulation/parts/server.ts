import { generateKeyPairSync } from "node:crypto"
import type { RoomAnswer, RoomCall } from "#protocol/call"
import { mintId, sessionIdSchema } from "#protocol/ids"
import type { TicketClaims } from "#protocol/token"
import type { TerminalState } from "#protocol/work"
import type { Database } from "../../../server/db.ts"
import { asDomainError } from "../../../server/domain/as-domain-error.ts"
import type { Actor, DomainContext } from "../../../server/domain/context.ts"
import { claimForRoom } from "../../../server/domain/dispatch/index.ts"
import { ingestLog } from "../../../server/domain/timeline/index.ts"
import type { JobContext } from "../../../server/jobs/context.ts"
import { createLog } from "../../../server/log.ts"
import { ROOM_UNREACHABLE, type RoomsPort } from "../../../server/rooms/port.ts"
import type { SandboxProvider } from "../../../server/sandbox/provider.ts"
import { TEST_SETTINGS } from "../../../server/testing/context.ts"
import { type Network, Unanswered } from "../kernel/network.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"
import type { AnswerPost, RoomNode } from "./room-node.ts"

/** Short enough that a history sees most of them pass. */
const SETTINGS = {
  ...TEST_SETTINGS,
  sandboxReadyMs: 60_000,
  turn: { acceptMs: 5_000, startMs: 10_000, silenceMs: 15_000, turnMs: 60_000 },
}
const SANDBOXES = {
  maxStarting: 4,
  createMs: 5_000,
  runnerGraceMs: 40_000,
  roomsUrl: "http://127.0.0.1:3001",
  phases: { cloneMs: 20_000, agentMs: 20_000, warmUpMs: 10_000 },
}

const { privateKey: signingKey } = generateKeyPairSync("ed25519")

/** What the server's processes are given: real verbs and handlers, simulated surroundings. */
export function serverContext(
  simulation: Simulation,
  parts: { db: Database; network: Network; room: RoomNode; provider: SandboxProvider },
): JobContext {
  const now = () => new Date(simulation.now)
  return {
    db: parts.db,
    rooms: roomsPort(parts.network, parts.room),
    log: createLog("warn", (line) => simulation.note(`log ${eventOf(line)}`)),
    settings: SETTINGS,
    sandboxes: SANDBOXES,
    provider: parts.provider,
    signingKey,
    now,
    mint: (prefix) => mintId(prefix, simulation.now, simulation.entropy.bytes(16)),
    signTicket: async ({ userId, grantId, expiresAt, name, role }) => {
      const exp = Math.floor(expiresAt.getTime() / 1_000)
      const claims: TicketClaims = { sub: userId, jti: grantId, exp, name, role }
      return JSON.stringify(claims)
    },
  }
}

/** Without its time, which is the real clock's. */
function eventOf(line: string): string {
  const { at: _at, error, ...rest }: Record<string, unknown> = JSON.parse(line)
  const hasMessage = typeof error === "object" && error !== null && "message" in error
  return JSON.stringify(hasMessage ? { ...rest, error: error.message } : rest)
}

function roomsPort(network: Network, room: RoomNode): RoomsPort {
  const unreachable = (error: unknown): RoomAnswer => ({
    ok: false,
    error: { reason: ROOM_UNREACHABLE, message: String(error) },
  })
  return {
    async call(sessionId, call: RoomCall, { withinMs }) {
      room.sessionId ??= sessionIdSchema.parse(sessionId)
      const what = `${call.call} ${JSON.stringify(call).slice(0, 160)}`
      try {
        return await network.call("web-room", what, withinMs, () => room.call(call))
      } catch (error) {
        return unreachable(error)
      }
    },
    async callBus(_teamId, call, { withinMs }) {
      try {
        return await network.call("web-room", `bus ${call.call}`, withinMs, async () => {
          return { ok: true } as const
        })
      } catch (error) {
        return unreachable(error)
      }
    },
  }
}

export const nameOf = ({ promptId, attempt }: { promptId: string; attempt: number }) =>
  `${promptId} attempt ${attempt}`

/** The web server: people's verbs and the rooms' posts. */
export class Web implements AnswerPost {
  /** Ends of attempts as rooms posted them: state by place in the log, by attempt. */
  readonly ends = new Map<string, Map<number, TerminalState>>()
  readonly #simulation: Simulation
  readonly #context: JobContext
  #process: SimulatedProcess

  constructor(simulation: Simulation, context: JobContext) {
    this.#simulation = simulation
    this.#context = context
    this.#process = new SimulatedProcess(simulation, "web")
  }

  /** Requests under way are never answered; the next process takes new ones after `downMs`. */
  crash(downMs: number): void {
    if (!this.#process.alive) return
    this.#simulation.note(`web crashes for ${downMs} ms`)
    this.#process.kill()
    this.#simulation.after(downMs, () => {
      this.#process = new SimulatedProcess(this.#simulation, "web")
    })
  }

  /** Runs a verb for somebody. What they are told of a failure is a domain error; anything else is a violation. */
  async serve<Value>(
    what: string,
    actor: Actor,
    verb: (ctx: DomainContext) => Promise<Value>,
  ): Promise<Value> {
    return this.#run(what, () => verb({ ...this.#context, actor }))
  }

  async ingest(post: Parameters<AnswerPost["ingest"]>[0]) {
    for (const item of post.items) {
      if (!("report" in item) || item.report.type !== "attempt.ended") continue
      const name = nameOf(item.report)
      const known = this.ends.get(name) ?? new Map()
      this.ends.set(name, known.set(item.seq, item.report.state))
    }
    const result = await this.#run("ingest", () => ingestLog(this.#context, post))
    if (result.kind === "stale") return { ok: false as const, reason: "stale", stale: result }
    return { ok: true as const, ingestedSeq: result.ingestedSeq }
  }

  async claimNext(post: Parameters<AnswerPost["claimNext"]>[0]) {
    const result = await this.#run("claim-next", () => claimForRoom(this.#context, post))
    if (result.kind === "stale") return { ok: false as const, reason: "stale", stale: result }
    return { ok: true as const, claim: result.claim }
  }

  async #run<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
    const process = this.#process
    if (!process.alive) throw new Unanswered("the server is away")
    try {
      return await process.run(work)
    } catch (error) {
      const known = asDomainError(error)
      if (known) throw known
      this.#simulation.violate(`${what} broke: ${String(error)}`, error)
      throw error
    }
  }
}

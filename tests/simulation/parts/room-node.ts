import { type RoomAnswer, type RoomCall, type RoomPost, roomCallSchema } from "#protocol/call"
import type { SandboxClaims, TicketClaims } from "#protocol/token"
import type { Claim } from "#protocol/work"
import type { Effect } from "../../../party/room/effects.ts"
import type { PostResult, RoomInput } from "../../../party/room/input.ts"
import { type DieAfter, type Socket, World } from "../../../party/room/testing/world.ts"
import { Channel } from "../kernel/channel.ts"
import type { Scheduled } from "../kernel/event-queue.ts"
import { type Network, Unanswered } from "../kernel/network.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"

const POST_DEADLINE_MS = 15_000
/** How late the platform may fire an alarm. */
const ALARM_SLACK_MS = 500

/** The server's answer to a room's post. */
export type AnswerPost = {
  ingest(post: RoomPost & { post: "ingest" }): Promise<PostResult<{ ingestedSeq: number }>>
  claimNext(post: RoomPost & { post: "claim-next" }): Promise<PostResult<{ claim: Claim | null }>>
}

/** The room of the session: the real core on a storage that outlives it, with the simulated network around. */
export class RoomNode {
  readonly world = new World()
  server: AnswerPost | null = null
  sessionId: RoomPost["sessionId"] | null = null
  /** The process dies amid the effects of the next input that stores something. */
  isDoomed = false
  readonly #simulation: Simulation
  readonly #network: Network
  readonly #channels = new Map<string, { channel: Channel; socket: Socket; heardAt: number }>()
  #process: SimulatedProcess
  #tick: Scheduled | null = null
  #tickAt: number | null = null
  #alarm: Scheduled | null = null
  #alarmAt: number | null = null
  #postsUnderway = 0
  #opened = 0

  constructor(simulation: Simulation, network: Network) {
    this.#simulation = simulation
    this.#network = network
    this.#process = new SimulatedProcess(simulation, "room")
  }

  get isUp(): boolean {
    return this.#process.alive
  }

  /** The client's end of a new socket; what the room thinks of it arrives on it. */
  open(name: string, claims: { viewer: TicketClaims } | { runner: SandboxClaims }): Channel {
    const route = "viewer" in claims ? "viewer-room" : "runner-room"
    const channel = new Channel(this.#simulation, this.#network, route, `${name}.${++this.#opened}`)
    this.#simulation.after(this.#network.delay(route), () => {
      if (!this.isUp || this.#network.on(route).down) {
        channel.drop("room")
        return
      }
      this.#act(() => {
        const socket =
          "viewer" in claims
            ? this.world.openViewer(claims.viewer)
            : this.world.openRunner(claims.runner)
        this.#connect(channel, socket)
      })
    })
    return channel
  }

  /** Answers a call of the server. Never, when the process dies over it. */
  async call(raw: RoomCall): Promise<RoomAnswer> {
    if (!this.isUp) throw new Unanswered("the room is away")
    const call = roomCallSchema.parse(JSON.parse(JSON.stringify(raw)))
    const { world } = this
    const replyId = world.newId("reply")
    this.#act((dieAfter) => void world.input({ type: "call", replyId, call }, dieAfter))
    const answer = world.replies.get(replyId)
    if (answer) return answer
    return new Promise(() => undefined)
  }

  /** The process dies now and is back after `downMs`. */
  crash(downMs: number): void {
    if (!this.isUp) return
    this.#simulation.note(`room crashes for ${downMs} ms`)
    this.#end()
    this.#simulation.after(downMs, () => this.#restart())
  }

  hibernate(): void {
    const { world } = this
    if (!this.isUp || this.#postsUnderway > 0 || world.tickAt !== null) return
    this.#simulation.note("room hibernates")
    this.#act(() => world.hibernate())
  }

  /** Every open socket, for the network to break. */
  channels(): Channel[] {
    return [...this.#channels.values()].map(({ channel }) => channel)
  }

  #connect(channel: Channel, socket: Socket): void {
    const { id } = socket
    channel.accept()
    const connected = { channel, socket, heardAt: this.#simulation.now }
    if (this.world.sockets.has(id)) this.#channels.set(id, connected)
    else this.#deliver(connected)
    channel.listen("room", {
      message: (text) => {
        connected.heardAt = this.#simulation.now
        if (text === "ping") channel.say("room", "pong")
        else {
          socket.toRoom.push(text)
          this.#act((dieAfter) => this.world.deliverToRoom(socket, dieAfter))
        }
      },
      closed: () => this.#act(() => this.world.disconnect(socket)),
    })
  }

  /** Hands the room something, then lets the world see what came of it. */
  #act(input: (dieAfter: DieAfter) => void): void {
    if (!this.isUp) return
    const { world } = this
    world.now = this.#simulation.now
    let hasDied = false
    const dieAfter = (effects: readonly Effect[]) => {
      if (!this.isDoomed || !effects.some(({ effect }) => effect === "store")) return null
      this.isDoomed = false
      hasDied = true
      return this.#simulation.random.int(0, effects.length)
    }
    try {
      input(dieAfter)
    } catch (error) {
      this.#simulation.violate(String(error), error)
      return
    }
    if (hasDied) {
      this.#simulation.note("room died amid effects")
      this.#process.kill()
      this.#begin()
    }
    this.#deliverAll()
    this.#setTimers()
    this.#post()
  }

  #begin(): void {
    this.#process = new SimulatedProcess(this.#simulation, "room")
    this.#postsUnderway = 0
  }

  #end(): void {
    this.#process.kill()
    for (const { channel } of this.#channels.values()) channel.drop("room")
    this.#channels.clear()
    this.#simulation.cancel(this.#tick)
    this.#simulation.cancel(this.#alarm)
    this.#tickAt = null
    this.#alarmAt = null
  }

  #restart(): void {
    this.#simulation.note("room starts")
    this.#begin()
    this.#act(() => this.world.crash())
  }

  #deliverAll(): void {
    for (const connected of [...this.#channels.values()]) this.#deliver(connected)
  }

  #deliver({ channel, socket }: { channel: Channel; socket: Socket }): void {
    for (const text of socket.toClient.splice(0)) channel.say("room", text)
    if (!socket.closed) return
    this.#channels.delete(socket.id)
    const { code, reason } = socket.closed
    if (code === 1006) channel.drop("room")
    else channel.close("room", code, reason)
  }

  #setTimers(): void {
    const { world } = this
    if (world.tickAt !== this.#tickAt) {
      this.#simulation.cancel(this.#tick)
      this.#tickAt = world.tickAt
      this.#tick = this.#at(world.tickAt, 0, () => this.#fire("tick"))
    }
    if (world.alarmAt !== this.#alarmAt) {
      this.#simulation.cancel(this.#alarm)
      this.#alarmAt = world.alarmAt
      const slack = this.#simulation.random.int(0, ALARM_SLACK_MS)
      this.#alarm = this.#at(world.alarmAt, slack, () => this.#fire("alarm"))
    }
  }

  #at(at: number | null, slackMs: number, run: () => void): Scheduled | null {
    if (at === null) return null
    return this.#simulation.after(at - this.#simulation.now + slackMs, run)
  }

  #fire(type: "tick" | "alarm"): void {
    const { world } = this
    const { runner } = world.state
    const runnerHeardAt = runner === null ? null : (this.#channels.get(runner)?.heardAt ?? null)
    this.#act((dieAfter) => {
      if (type === "tick") {
        world.tickAt = null
        this.#tickAt = null
      } else {
        world.alarmAt = null
        this.#alarmAt = null
      }
      world.input({ type, runnerHeardAt }, dieAfter)
    })
  }

  #post(): void {
    for (const post of this.world.posts.splice(0)) {
      this.#checkClaim(post)
      this.#postsUnderway += 1
      const process = this.#process
      void process
        .run(() => this.#send(post))
        .then((input) => {
          this.#postsUnderway -= 1
          this.#act((dieAfter) => void this.world.input(input, dieAfter))
        })
    }
  }

  async #send(post: RoomPost): Promise<RoomInput> {
    const { server, sessionId } = this
    if (!server || !sessionId) throw new Error("a room posts before its session exists")
    const carried: RoomPost = { ...JSON.parse(JSON.stringify(post)), sessionId }
    const failed = { ok: false, reason: "server-late", stale: null } as const
    const call = <Value>(serve: () => Promise<PostResult<Value>>) =>
      this.#network
        .call("room-web", carried.post, POST_DEADLINE_MS, serve)
        .catch((): PostResult<Value> => failed)
    if (carried.post === "ingest") {
      return { type: "posted", post: "ingest", result: await call(() => server.ingest(carried)) }
    }
    const result = await call(() => server.claimNext(carried))
    return { type: "posted", post: "claim-next", result }
  }

  /** D10: the next claim is asked for only after PostgreSQL has confirmed the end of the last attempt. */
  #checkClaim(post: RoomPost): void {
    if (post.post !== "claim-next") return
    const { work, log } = this.world.state.meta
    const isConfirmed = work === null || (work.phase === "ended" && work.seq <= log.ingestedSeq)
    if (!isConfirmed) this.#simulation.violate("[D10] a claim was asked for too early")
  }
}

import type { EntryOf } from "../../protocol/entry.ts"
import type { Delta, FromRunner, ToRunner, ToRunnerOf } from "../../protocol/runner.ts"
import type { TicketClaims } from "../../protocol/token.ts"
import { PROTOCOL_VERSION } from "../../protocol/version.ts"
import type { FromViewer, ToViewer, ToViewerOf } from "../../protocol/viewer.ts"
import type { AttemptRef, Claim, OutboxItem, RunnerReport } from "../../protocol/work.ts"
import { promptId, runnerOf, TEAM, ticketOf } from "./samples.ts"
import { type Socket, say, World } from "./world.ts"

/** A runner in the test's own hands: it says and hears exactly what the test lets it. */
export class RunnerHand {
  readonly socket: Socket
  next = 1
  readonly #world: World

  constructor(world: World, generation = 1) {
    this.#world = world
    this.socket = world.openRunner(runnerOf(generation))
  }

  hello(generation = 1, streamId = "stream-one", attempt: AttemptRef | null = null): this {
    this.say({ type: "hello", protocol: PROTOCOL_VERSION, generation, streamId, attempt })
    return this
  }

  /** The next items of the outbox. */
  send(...items: (OutboxItem | RunnerReport)[]): this {
    const from = this.next
    this.next += items.length
    this.say({
      type: "items",
      from,
      items: items.map((item) => ("type" in item ? { report: item } : item)),
    })
    return this
  }

  stream(...deltas: Delta[]): this {
    this.say({ type: "deltas", deltas })
    return this
  }

  say(message: FromRunner): void {
    say(this.socket, message)
    this.#world.deliverToRoom(this.socket)
  }

  heard(): ToRunner[] {
    return this.socket.toClient.splice(0).map((text) => JSON.parse(text))
  }

  heardOf<Type extends ToRunner["type"]>(type: Type): ToRunnerOf<Type>[] {
    return this.heard().filter((message): message is ToRunnerOf<Type> => message.type === type)
  }
}

/** A viewer in the test's own hands. */
export class ViewerHand {
  readonly socket: Socket
  readonly #world: World

  constructor(world: World, claims: Partial<TicketClaims> = {}) {
    this.#world = world
    this.socket = world.openViewer(ticketOf(world, claims))
  }

  hello(since = "0"): this {
    return this.say({ type: "hello", protocol: PROTOCOL_VERSION, since })
  }

  say(message: FromViewer): this {
    say(this.socket, message)
    this.#world.deliverToRoom(this.socket)
    return this
  }

  heard(): ToViewer[] {
    return this.socket.toClient.splice(0).map((text) => JSON.parse(text))
  }

  heardOf<Type extends ToViewer["type"]>(type: Type): ToViewerOf<Type>[] {
    return this.heard().filter((message): message is ToViewerOf<Type> => message.type === type)
  }

  frames(): ToViewerOf<"frame">[] {
    return this.heardOf("frame")
  }
}

/** A room that was fenced to generation 1. */
export function fencedRoom(): World {
  const room = new World()
  fence(room, 1)
  return room
}

/** A fenced room whose runner is connected and ready, with everything said so far heard. */
export function readyRoom(): { room: World; runner: RunnerHand } {
  const room = fencedRoom()
  const runner = new RunnerHand(room).hello().send(bootReady(1))
  settle(room)
  runner.heard()
  return { room, runner }
}

/** A ready room in which this claim is running. */
export function runningRoom(claim: Claim): { room: World; runner: RunnerHand } {
  const { room, runner } = readyRoom()
  room.call({ call: "run", claim })
  runner.send(accepted(claim), running(claim))
  settle(room)
  runner.heard()
  return { room, runner }
}

/** Flushes what waits and lets the server confirm everything. */
export function settle(room: World): void {
  do {
    room.sleep(1_000, room.now + 1_000)
    confirm(room)
  } while (room.state.storedHead > room.state.meta.log.ingestedSeq)
}

/** PostgreSQL takes every batch that is under way and has nothing to claim. */
export function confirm(room: World): void {
  for (const post of room.posts.splice(0)) {
    if (post.post === "claim-next") {
      room.input({ type: "posted", post: "claim-next", result: { ok: true, claim: null } })
    } else {
      room.input({ type: "posted", post: "ingest", result: { ok: true, ingestedSeq: post.to } })
    }
  }
}

export function fence(room: World, generation: number, known = "0") {
  const reason = { reason: "sandbox-lost", message: "The sandbox was lost." }
  return room.call({ call: "fence", generation, teamId: TEAM, known, reason })
}

export function storedPrompt(room: World, name: string): EntryOf<"prompt"> {
  return JSON.parse(room.store.body(`prompt:${name}`) ?? "null")
}

export const bootReady = (generation: number): RunnerReport => ({
  type: "boot.ready",
  generation,
  baseCommit: "abc1234",
  branch: "main",
})

const ref = ({ promptId: id, attempt }: AttemptRef) => ({ promptId: promptId(id), attempt })

export const accepted = (claim: AttemptRef): RunnerReport => ({
  type: "attempt.accepted",
  ...ref(claim),
})
export const running = (claim: AttemptRef): RunnerReport => ({
  type: "attempt.running",
  ...ref(claim),
})
export const ended = (
  claim: AttemptRef,
  state: "succeeded" | "failed" | "stopped" | "interrupted" = "succeeded",
): RunnerReport => ({ type: "attempt.ended", ...ref(claim), state, error: null })

import { join } from "node:path"
import type { Failure } from "#protocol/entry"
import type { AttemptRef, RunnerReport } from "#protocol/work"
import type { Agent } from "./agent/agent.ts"
import { type Booted, type boot, onlyFailures, ReadyMark, warmUp } from "./boot.ts"
import { DeliveredMark } from "./delivered-mark.ts"
import { DISK_FULL } from "./disk-full.ts"
import type { RunnerEnvironment } from "./env.ts"
import { EXIT } from "./exit-code.ts"
import { openJournal } from "./journal.ts"
import { RoomLink, type RoomOrder } from "./link/room-link.ts"
import type { OpenSocket } from "./link/socket.ts"
import type { Log } from "./log.ts"
import { OpenTexts } from "./open-texts.ts"
import { Orders, type Served } from "./orders.ts"
import { Outbox } from "./outbox/outbox.ts"
import type { Emit, Journal } from "./prompt/ports.ts"
import { startPromptLoop } from "./prompt/prompt-loop.ts"
import { leftBehind } from "./prompt/records.ts"
import type { openWorkspace } from "./workspace/workspace.ts"

/** How long the report of a failed boot may take to reach the room. */
const LAST_REPORT_MS = 60_000

/** How long the loop may take to let go, and after it what is still unsent to be stored by the room. */
const CLOSE_MS = { loop: 1_000, delivery: 1_500 }

/** What a runner touches of the world outside of its own directory. */
export type RunnerParts = {
  openSocket: OpenSocket
  boot: typeof boot
  openWorkspace: typeof openWorkspace
}

export type RunnerOptions = {
  environment: RunnerEnvironment
  parts: RunnerParts
  log: Log
  stop: AbortSignal
  /** Called, maybe more than once, with the code to exit with. */
  end: (code: number) => void
}

/** The parts of a running runner: outbox, link, agent and prompt loop, and the order in which they come and go. */
export class Runner {
  readonly #options: RunnerOptions
  readonly #outbox: Outbox
  readonly #journal: Journal
  readonly #link: RoomLink
  readonly #orders: Orders
  readonly #openTexts = new OpenTexts()
  readonly #deliveredMark: DeliveredMark
  #agent: Agent | null = null
  #served: Served | null = null

  private constructor(options: RunnerOptions, outbox: Outbox) {
    const { environment, log, end, parts } = options
    const { spec, stateDirectory } = environment
    this.#journal = openJournal(join(stateDirectory, "journal.json"), log)
    this.#deliveredMark = new DeliveredMark(stateDirectory)
    this.#options = options
    this.#outbox = outbox
    this.#orders = new Orders((id, result) => this.#link.answer(id, result))
    this.#link = new RoomLink({
      url: roomUrl(spec.roomsUrl, spec.sessionId),
      token: spec.runnerToken,
      generation: spec.generation,
      outbox,
      openSocket: parts.openSocket,
      log,
      currentAttempt: () => this.#currentAttempt(),
      onWelcome: () => this.#served?.loop.resend(this.#openTexts.keys),
      onOrder: (order) => this.#take(order),
      onFinal: () => end(EXIT.stopped),
    })
  }

  /** Opens what is on disk, calls the room and boots the sandbox in the background. */
  static async start(options: RunnerOptions): Promise<Runner> {
    const { environment, log, end } = options
    let runner: Runner | null = null
    const outbox = await Outbox.open({
      directory: join(environment.stateDirectory, "outbox"),
      generation: environment.spec.generation,
      onDiskFull: (full) => {
        log(full ? "the disk is full" : "the disk has room again")
        if (full) runner?.fail(DISK_FULL)
      },
      onBroken: (error) => {
        log("the outbox cannot be written any more", { error: String(error) })
        end(1)
      },
    })
    runner = new Runner(options, outbox)
    runner.#link.start()
    runner.#inBackground()
    return runner
  }

  /** Stops taking work, lets go of the turn, delivers what is left, ends the agent. */
  async close(): Promise<void> {
    this.#orders.close()
    const loop = this.#served?.loop
    if (loop) await within(loop.close(), CLOSE_MS.loop)
    const agentEnds = this.#agent?.close()
    const delivered = this.#link.connected && (await this.#outbox.delivered(CLOSE_MS.delivery))
    if (delivered && loop?.current() === null) await this.#deliveredMark.set()
    this.#link.close()
    await this.#outbox.close()
    await agentEnds
  }

  #inBackground(): void {
    this.#boot().catch((error: unknown) => this.#bootFailed(error))
  }

  /** Ends the live attempt, if there is one. */
  fail(failure: Failure): void {
    this.#served?.loop.fail(failure)
  }

  async #boot(): Promise<void> {
    const { environment, log, stop, parts } = this.#options
    const mark = new ReadyMark(environment)
    const again = await mark.isSet()
    const report = (news: RunnerReport) => void this.#outbox.push({ report: news })
    const options = { environment, log, report: again ? onlyFailures(report) : report, stop }
    const booted = await parts.boot(options)
    this.#agent = booted.agent
    const workspace = parts.openWorkspace(booted.checkout, environment.base)
    const loop = startPromptLoop({
      agent: booted.agent,
      emit: this.#emit(),
      journal: this.#journal,
      workspace,
      generation: environment.spec.generation,
      isDelivered: await this.#deliveredMark.take(),
      roomLostSince: (atMs) => this.#link.lostSince(atMs),
      log,
    })
    await loop.recover()
    this.#served = { loop, workspace }
    // A session that was ready before does not wait once more.
    if (again) this.#orders.serve(this.#served)
    await warmUp(booted.agent, options)
    if (again) return
    report(ready(booted, environment.spec.generation))
    await mark.set()
    this.#orders.serve(this.#served)
  }

  async #bootFailed(error: unknown): Promise<void> {
    const { log, end, stop } = this.#options
    if (stop.aborted) return
    log("the boot failed", { error: String(error) })
    const delivered = await this.#outbox.delivered(LAST_REPORT_MS)
    if (!delivered) log("the room did not take the report of the failed boot")
    end(EXIT.bootFailed)
  }

  #take(order: RoomOrder): void {
    this.#orders.take(order)
    if (order.type === "run" && this.#outbox.diskFull) this.fail(DISK_FULL)
  }

  /** Until the agent is up, only the journal knows what an earlier runner left unfinished. */
  #currentAttempt(): AttemptRef | null {
    if (this.#served) return this.#served.loop.current()
    const { generation } = this.#options.environment.spec
    const record = this.#journal.read()
    const left = record && leftBehind(record)
    if (!left || left.generation !== generation) return null
    return { promptId: left.promptId, attempt: left.attempt }
  }

  #emit(): Emit {
    return {
      entry: (draft) => {
        this.#openTexts.note(draft)
        this.#outbox.push({ entry: draft })
      },
      report: (report) => void this.#outbox.push({ report }),
      deltas: (deltas) => this.#link.deltas(deltas),
    }
  }
}

function ready({ checkout }: Booted, generation: number): RunnerReport {
  const { baseCommit, branch } = checkout
  return { type: "boot.ready", generation, baseCommit, branch }
}

/** The room's socket at the origin of the rooms. */
export function roomUrl(roomsUrl: string, sessionId: string): string {
  const url = new URL(`/parties/session/${sessionId}`, roomsUrl)
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:"
  return url.href
}

async function within(settled: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([settled, late])
  clearTimeout(timer)
}

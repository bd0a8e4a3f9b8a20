import type { SandboxSpec } from "#protocol/sandbox-spec"
import type { Diff } from "#protocol/work"
import { runPhase } from "../../../runner/src/boot-phase.ts"
import { isCrash } from "../../../runner/src/exit-code.ts"
import { Failed } from "../../../runner/src/failed.ts"
import type { OpenSocket } from "../../../runner/src/link/socket.ts"
import { Runner, type RunnerParts } from "../../../runner/src/runner.ts"
import { pauseAfter } from "../../../runner/src/supervise.ts"
import type { Channel } from "../kernel/channel.ts"
import type { Disk } from "../kernel/disk.ts"
import type { Network } from "../kernel/network.ts"
import { SimulatedProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"
import type { AgentStore } from "./agent-store.ts"
import { type AgentTemper, ModelAgent } from "./model-agent.ts"
import type { OutboxWitness } from "./outbox-witness.ts"
import type { RoomNode } from "./room-node.ts"

export type MachineTemper = {
  agent: AgentTemper
  /** Chance that a boot fails, and that it hangs. */
  bootFails: number
  bootHangs: number
}

type Surroundings = {
  id: string
  spec: SandboxSpec
  network: Network
  room: RoomNode
  temper: MachineTemper
  disk: Disk
  agent: AgentStore
  witness: OutboxWitness
  /** Its supervisor has ended. */
  onEnd(): void
}

const WINDOW_MS = 60_000
const STATE_DIRECTORY = "/state"

/** One sandbox: the real runner under a supervisor's rules, with a model of the agent. */
export class Machine {
  readonly id: string
  readonly spec: SandboxSpec
  #agent: ModelAgent | null = null
  readonly #simulation: Simulation
  readonly #around: Surroundings
  #process: SimulatedProcess | null = null
  #crashes: number[] = []
  #isGone = false

  constructor(simulation: Simulation, surroundings: Surroundings) {
    this.#simulation = simulation
    this.#around = surroundings
    this.id = surroundings.id
    this.spec = surroundings.spec
  }

  start(): void {
    if (this.#isGone) return
    const { disk, spec } = this.#around
    const process = new SimulatedProcess(this.#simulation, `runner ${this.id}`, disk)
    this.#process = process
    this.#simulation.note(`${this.id} runner starts`)
    disk.makeDirectory(STATE_DIRECTORY)
    const stop = new AbortController()
    let isEnding = false
    const end = (code: number) => {
      if (isEnding) return
      isEnding = true
      process.run(() => void this.#end(process, started, code))
    }
    const environment = {
      spec,
      stateDirectory: STATE_DIRECTORY,
      workspaceDirectory: "/workspace",
      opencode: "/opencode",
      home: "/home",
      base: {},
    }
    const parts = this.#parts(process)
    const log = (message: string, facts?: object) =>
      this.#simulation.note(`${this.id} ${message} ${JSON.stringify(facts ?? {})}`)
    const started = process.run(() =>
      Runner.start({ environment, parts, log, stop: stop.signal, end }),
    )
    started.catch((error: unknown) =>
      this.#simulation.violate(`a runner broke: ${String(error)}`, error),
    )
  }

  /** kill -9 of the runner, and of the agent with it. */
  crash(): void {
    const process = this.#process
    if (!process?.alive) return
    this.#simulation.note(`${this.id} runner is killed`)
    process.kill()
    this.#ended(null)
  }

  /** The agent's process dies, the runner does not. */
  killAgent(): void {
    if (this.#process?.alive) this.#process.run(() => this.#agent?.die())
  }

  /** The whole machine is gone. */
  vanish(): void {
    this.#simulation.note(`${this.id} is gone`)
    this.#isGone = true
    this.#process?.kill()
  }

  /** As the runner's program does: everything is let go of in order, then the process ends. */
  async #end(process: SimulatedProcess, started: Promise<Runner>, code: number): Promise<void> {
    const runner = await started
    await runner.close()
    if (!process.alive) return
    this.#simulation.note(`${this.id} runner ends with ${code}`)
    process.kill()
    this.#ended(code)
  }

  /** As the supervisor does. */
  #ended(code: number | null): void {
    if (this.#isGone) return
    const { now } = this.#simulation
    this.#crashes = [...this.#crashes.filter((at) => now - at < WINDOW_MS), now]
    const pauseMs = isCrash(code) ? pauseAfter(this.#crashes.length) : null
    if (pauseMs === null) this.#around.onEnd()
    else this.#simulation.after(pauseMs, () => this.start())
  }

  #parts(process: SimulatedProcess): RunnerParts {
    const { temper, spec, agent: store } = this.#around
    const { random } = this.#simulation
    return {
      openSocket: this.#openSocket(process),
      boot: async ({ environment, report, stop }) => {
        const { generation, deadlines } = environment.spec
        const phase = { generation, report, stop, what: "The boot" }
        const fails = random.chance(temper.bootFails)
        const hangs = random.chance(temper.bootHangs)
        await runPhase({ ...phase, phase: "clone", deadlineMs: deadlines.cloneMs }, async () => {
          await process.sleep(random.int(50, 1_500))
          if (fails) throw new Failed("clone-failed", "The repository is not there.")
          if (hangs) await new Promise(() => undefined)
        })
        await runPhase({ ...phase, phase: "agent", deadlineMs: deadlines.agentMs }, () =>
          process.sleep(random.int(50, 1_500)),
        )
        const models = spec.models.map(({ id }) => id)
        this.#agent = new ModelAgent(process, store, temper.agent, models)
        return {
          checkout: {
            directory: environment.workspaceDirectory,
            baseCommit: "c0ffee",
            branch: "main",
            workingBranch: "agent",
          },
          agent: this.#agent,
        }
      },
      openWorkspace: ({ directory }) => ({
        directory,
        changes: async () => {
          await process.sleep(random.int(1, 60))
          return randomDiff(random.int(0, 3))
        },
        file: async () => {
          throw new Failed("no-file", "There is no such file.")
        },
      }),
    }
  }

  #openSocket(process: SimulatedProcess): OpenSocket {
    const { room, spec, witness } = this.#around
    return (_url, _headers, events) => {
      const claims = { runner: { sub: spec.sessionId, gen: spec.generation } }
      const channel: Channel = room.open(`g${spec.generation}`, claims)
      channel.listen(
        "client",
        {
          opened: () => events.opened(),
          message: (text) => {
            witness.heard(channel, text)
            events.message(text)
          },
          closed: (code, reason) => events.closed(code, reason),
        },
        process,
      )
      process.onKill(() => channel.drop("client"))
      return {
        send: (text) => {
          witness.said(channel, text)
          channel.say("client", text)
        },
        close: (code, reason) => channel.close("client", code, reason),
        terminate: () => channel.drop("client"),
      }
    }
  }
}

function randomDiff(files: number): Diff {
  return {
    base: "c0ffee",
    truncated: false,
    files: Array.from({ length: files }, (_, index) => ({
      path: `file-${index}`,
      status: "modified",
      additions: index,
      deletions: 1,
      binary: false,
      patch: `+${index}`,
    })),
  }
}

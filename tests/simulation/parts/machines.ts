import type { SandboxSpec } from "#protocol/sandbox-spec"
import { type InMemoryProvider, inMemoryProvider } from "../../../server/sandbox/in-memory.ts"
import { type SandboxProvider, sandboxId } from "../../../server/sandbox/provider.ts"
import { Disk } from "../kernel/disk.ts"
import type { Network } from "../kernel/network.ts"
import { currentProcess } from "../kernel/simulated-process.ts"
import type { Simulation } from "../kernel/simulation.ts"
import { AgentStore } from "./agent-store.ts"
import { Machine, type MachineTemper } from "./machine.ts"
import { OutboxWitness } from "./outbox-witness.ts"
import type { RoomNode } from "./room-node.ts"

const CALL_MS = 300

/** The cloud: the in-memory provider, and a running machine for each sandbox that it holds. */
export class Machines {
  readonly inner: InMemoryProvider
  readonly provider: SandboxProvider
  /** Every machine that ever ran, oldest first. */
  readonly all: Machine[] = []
  /** What the session's machines leave each other. */
  readonly disk = new Disk()
  readonly agent = new AgentStore()
  readonly witness = new OutboxWitness()
  readonly #simulation: Simulation
  readonly #surroundings: { network: Network; room: RoomNode; temper: MachineTemper }
  readonly #running = new Map<string, Machine>()

  constructor(
    simulation: Simulation,
    surroundings: { network: Network; room: RoomNode; temper: MachineTemper },
  ) {
    this.#simulation = simulation
    this.#surroundings = surroundings
    this.inner = inMemoryProvider(() => simulation.now)
    this.provider = this.#slow(this.inner)
  }

  /** The machine that runs now, if any. */
  get current(): Machine | null {
    return [...this.#running.values()].at(-1) ?? null
  }

  /** A machine vanishes, as when its host fails. */
  lose(machine: Machine): void {
    this.inner.lose(machine.id)
    this.#sync()
  }

  /** Calls take a while, also for a process that dies meanwhile: what it asked for happens. */
  #slow(inner: InMemoryProvider): SandboxProvider {
    const pass = async <Result>(what: string, call: () => Promise<Result>): Promise<Result> => {
      const process = currentProcess()
      if (!process) throw new Error("a provider is called from outside of the simulation")
      await process.sleep(this.#simulation.random.int(1, CALL_MS))
      this.#simulation.note(`provider ${what}`)
      try {
        return await call()
      } finally {
        this.#sync()
      }
    }
    return {
      name: inner.name,
      create: (spec, options) => {
        const id = sandboxId(spec.sessionId, spec.generation)
        return pass(`create ${id}`, () => inner.create(spec, options))
      },
      status: (id) => pass(`status ${id}`, () => inner.status(id)),
      terminate: (id) => pass(`terminate ${id}`, () => inner.terminate(id)),
      list: () => pass("list", () => inner.list()),
      forget: (sessionId) => pass(`forget ${sessionId}`, () => inner.forget(sessionId)),
    }
  }

  #sync(): void {
    for (const [id, machine] of this.#running) {
      if (this.inner.running.has(id)) continue
      this.#running.delete(id)
      machine.vanish()
    }
    for (const [id, spec] of this.inner.running) {
      if (!this.#running.has(id)) this.#boot(id, spec)
    }
  }

  #boot(id: string, spec: SandboxSpec): void {
    const { disk, agent, witness } = this
    const machine = new Machine(this.#simulation, {
      ...this.#surroundings,
      id,
      spec,
      disk,
      agent,
      witness,
      onEnd: () => this.lose(machine),
    })
    this.#running.set(id, machine)
    this.all.push(machine)
    machine.start()
  }
}

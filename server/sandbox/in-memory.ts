import type { SandboxSpec } from "#protocol/sandbox-spec"
import { parseSandboxId, SandboxError, type SandboxProvider, sandboxId } from "./provider.ts"

/** How a create goes: `hang` never resolves by itself, `fail` throws, `die` makes a machine that is gone at once. */
export type CreateBehaviour = "work" | "hang" | "fail" | "die"

export type InMemoryProvider = SandboxProvider & {
  /** What the next creates do, first to last; without an entry a create works. */
  script: CreateBehaviour[]
  /** Every call in order, as `create <id>` and so on. */
  readonly calls: readonly string[]
  /** The specs of the machines that run. */
  readonly running: ReadonlyMap<string, SandboxSpec>
  /** The machine vanishes, as when a host fails. */
  lose(id: string): void
  /** The machine is ended together with the platform. */
  stop(id: string): void
}

type Machine = { spec: SandboxSpec; createdAtMs: number }

/** Machines that are only remembered: for tests and the simulation. `nowMs` is their clock. */
export function inMemoryProvider(nowMs: () => number): InMemoryProvider {
  const machines = new Map<string, Machine>()
  const stopped = new Set<string>()
  const creating = new Map<
    string,
    { createdAtMs: number; cancel: (reason: SandboxError) => void }
  >()
  const calls: string[] = []
  const script: CreateBehaviour[] = []

  const hang = (id: string, createdAtMs: number, signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      const stop = (reason: unknown) => {
        creating.delete(id)
        reject(reason)
      }
      creating.set(id, { createdAtMs, cancel: stop })
      signal.addEventListener("abort", () => stop(signal.reason), { once: true })
    })

  return {
    name: "in-memory",
    script,
    calls,
    get running() {
      return new Map([...machines].map(([id, { spec }]) => [id, spec]))
    },
    async create(spec, { signal }) {
      const id = sandboxId(spec.sessionId, spec.generation)
      calls.push(`create ${id}`)
      await Promise.resolve()
      signal.throwIfAborted()
      if (machines.has(id)) return
      refuseWhenNewer([...machines.keys()], spec)
      for (const other of machines.keys()) {
        if (parseSandboxId(other)?.sessionId === spec.sessionId) machines.delete(other)
      }
      const behaviour = script.shift() ?? "work"
      if (behaviour === "fail") {
        throw new SandboxError("sandbox-create-failed", "The machine could not be made.")
      }
      if (behaviour === "hang") await hang(id, nowMs(), signal)
      if (behaviour === "work") machines.set(id, { spec, createdAtMs: nowMs() })
    },
    async status(id) {
      if (machines.has(id)) return "running"
      return stopped.has(id) ? "stopped" : "gone"
    },
    async terminate(id) {
      calls.push(`terminate ${id}`)
      machines.delete(id)
      stopped.delete(id)
      creating
        .get(id)
        ?.cancel(new SandboxError("sandbox-terminated", "It was terminated while being created."))
    },
    async list() {
      return [...machines, ...creating].map(([id, { createdAtMs }]) => ({
        id,
        ageMs: nowMs() - createdAtMs,
      }))
    },
    async forget(sessionId) {
      calls.push(`forget ${sessionId}`)
    },
    lose(id) {
      machines.delete(id)
    },
    stop(id) {
      if (machines.delete(id)) stopped.add(id)
    },
  }
}

function refuseWhenNewer(ids: readonly string[], spec: SandboxSpec): void {
  const newer = ids
    .map(parseSandboxId)
    .find((other) => other?.sessionId === spec.sessionId && other.generation > spec.generation)
  if (newer) {
    throw new SandboxError(
      "sandbox-superseded",
      `Generation ${newer.generation} of this session's sandbox exists already.`,
    )
  }
}

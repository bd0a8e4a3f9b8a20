import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { RunnerReport } from "#protocol/work"
import { type Agent, startAgent } from "./agent/agent.ts"
import { runPhase } from "./boot-phase.ts"
import type { RunnerEnvironment } from "./env.ts"
import { Failed } from "./failed.ts"
import type { Log } from "./log.ts"
import { type Checkout, prepareCheckout } from "./workspace/clone.ts"
import { withoutPassword } from "./workspace/clone-failure.ts"

export type Booted = { checkout: Checkout; agent: Agent }

export type BootOptions = {
  environment: RunnerEnvironment
  report: (report: RunnerReport) => void
  log: Log
  stop: AbortSignal
}

/** The agent's directory for its log and its mark, inside the state directory. */
export const AGENT_DIRECTORY = "agent"

/** The agent's own deadline ends first, so that its reason is told. */
const MARGIN_MS = 2_000

/** Checks the repository out and starts the agent. Rejects after the phase that failed was reported. */
export async function boot(options: BootOptions): Promise<Booted> {
  const { environment, report, log, stop } = options
  const { spec, stateDirectory, workspaceDirectory, home, base, opencode } = environment
  const { sessionId, generation, deadlines, repoUrl, branch } = spec
  const phase = { generation, report, stop }

  const cloning = {
    ...phase,
    phase: "clone" as const,
    what: `Cloning ${withoutPassword(repoUrl)}`,
    deadlineMs: deadlines.cloneMs,
  }
  const checkout = await runPhase(cloning, ({ signal, detail }) =>
    prepareCheckout({
      repoUrl,
      branch,
      sessionId,
      directory: workspaceDirectory,
      stateDirectory,
      environment: base,
      signal,
      onProgress: detail,
    }),
  )

  const starting = {
    ...phase,
    phase: "agent" as const,
    what: "Starting the agent",
    deadlineMs: deadlines.agentMs + MARGIN_MS,
  }
  const agent = await runPhase(starting, () =>
    startAgent({
      spec,
      program: opencode,
      base,
      home,
      directory: workspaceDirectory,
      scratch: join(stateDirectory, AGENT_DIRECTORY),
      log,
    }).catch((error: unknown) => {
      const said = error instanceof Error ? error.message : String(error)
      const message = `The agent did not start. Try again. ${said}`
      throw new Failed("agent-did-not-start", message, { cause: error })
    }),
  )

  return { checkout, agent }
}

/** Warms the agent up, so that the first prompt is answered as fast as later ones. Never fails the boot. */
export async function warmUp(agent: Agent, options: BootOptions): Promise<void> {
  const { environment, report, log, stop } = options
  const { generation, deadlines } = environment.spec
  const deadlineMs = deadlines.warmUpMs + MARGIN_MS
  const warming = {
    ...{ generation, report, stop, deadlineMs },
    phase: "warm-up" as const,
    what: "Warming up the agent",
  }
  await runPhase(warming, ({ remark }) =>
    agent.warmUp().catch((error: unknown) => {
      // A cold agent answers its first prompt late, which is better than not at all.
      log("the agent was not warmed up", { error: String(error) })
      remark("left out: the first prompt may take longer")
    }),
  )
}

/**
 * Which generation of this session was ready before. A runner that comes after a crash boots again in silence, so that
 * nobody sees a working session start over.
 */
export class ReadyMark {
  readonly #path: string
  readonly #generation: number

  constructor({ stateDirectory, spec }: RunnerEnvironment) {
    this.#path = join(stateDirectory, "ready")
    this.#generation = spec.generation
  }

  async isSet(): Promise<boolean> {
    const generation = await readFile(this.#path, "utf8").catch(() => "")
    return generation === String(this.#generation)
  }

  async set(): Promise<void> {
    await writeFile(this.#path, String(this.#generation))
  }
}

/** Lets through what matters of a second boot: its failure. */
export function onlyFailures(report: (report: RunnerReport) => void) {
  return (news: RunnerReport) => {
    if (news.type === "boot.phase" && news.state === "failed") report(news)
  }
}

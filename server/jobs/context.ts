import type { KeyObject } from "node:crypto"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { signingKey } from "../auth/keys.ts"
import type { SystemContext } from "../domain/context.ts"
import type { Env } from "../env.ts"
import { chooseProvider } from "../sandbox/choose.ts"
import type { SandboxProvider } from "../sandbox/provider.ts"
import type { JobName, JobPayload } from "./queue.ts"

export type SandboxPolicy = {
  /** How many sandboxes may start at once. */
  maxStarting: number
  createMs: number
  /** How long a runner that was lost may stay silent. */
  runnerGraceMs: number
  /** Origin by which sandboxes reach the rooms. */
  roomsUrl: string
  phases: SandboxSpec["deadlines"]
}

/** What every job is handed: the system's context and what only jobs touch, the machines. */
export type JobContext = SystemContext & {
  provider: SandboxProvider
  sandboxes: SandboxPolicy
  signingKey: KeyObject
}

export type JobHandler<Name extends JobName> = (
  ctx: JobContext,
  payload: JobPayload<Name>,
) => Promise<void>

/** The jobs' context of one deployment. */
export function buildJobContext(system: SystemContext, variables: Env): JobContext {
  return {
    ...system,
    provider: chooseProvider(variables),
    signingKey: signingKey(variables.SERVER_SIGNING_KEY),
    sandboxes: {
      maxStarting: variables.MAX_STARTING_SANDBOXES,
      createMs: variables.SANDBOX_CREATE_DEADLINE_SECONDS * 1_000,
      runnerGraceMs: variables.RUNNER_GRACE_SECONDS * 1_000,
      roomsUrl: variables.ROOMS_PUBLIC_URL,
      phases: {
        cloneMs: variables.SANDBOX_CLONE_DEADLINE_SECONDS * 1_000,
        agentMs: variables.SANDBOX_AGENT_DEADLINE_SECONDS * 1_000,
        warmUpMs: variables.SANDBOX_WARM_UP_DEADLINE_SECONDS * 1_000,
      },
    },
  }
}

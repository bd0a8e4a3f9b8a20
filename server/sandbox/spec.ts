import type { KeyObject } from "node:crypto"
import { type SandboxModel, type SandboxSpec, sandboxSpecSchema } from "#protocol/sandbox-spec"
import { signModelToken, signRunnerToken } from "../auth/tokens.ts"

export type SpecRequest = {
  sessionId: string
  generation: number
  repoUrl: string
  branch: string | null
  roomsUrl: string
  models: readonly SandboxModel[]
  deadlines: SandboxSpec["deadlines"]
}

/** All that a sandbox is told, with tokens minted for this generation alone. */
export async function buildSpec(
  key: KeyObject,
  request: SpecRequest,
  now: Date,
): Promise<SandboxSpec> {
  const [runnerToken, modelToken] = await Promise.all([
    signRunnerToken(key, request, now),
    signModelToken(key, { ...request, models: request.models.map(({ id }) => id) }, now),
  ])
  return sandboxSpecSchema.parse({ ...request, runnerToken, modelToken })
}

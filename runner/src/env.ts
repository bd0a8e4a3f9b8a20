import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import * as z from "zod"
import { type SandboxSpec, sandboxSpecSchema } from "#protocol/sandbox-spec"

const absolutePath = z.string().startsWith("/", "must be an absolute path")

/** What a sandbox's provider sets for the runner. */
export const variablesSchema = z.object({
  /** File with the sandbox's spec. */
  AGENT_OPS_SPEC: absolutePath,
  /** Directory for the outbox, the journal and logs, kept from one generation of the session to the next. */
  AGENT_OPS_STATE_DIR: absolutePath,
  /** Directory of the checkout. */
  WORKSPACE_DIR: absolutePath,
  /** The OpenCode program. */
  OPENCODE_BIN: absolutePath,
})

export type RunnerEnvironment = {
  spec: SandboxSpec
  stateDirectory: string
  workspaceDirectory: string
  opencode: string
  home: string
  /** What the agent, its tools and git may see. */
  base: Record<string, string>
}

/** The runner's environment and spec. Throws one error that lists every problem. */
export function readEnvironment(): RunnerEnvironment {
  const variables = process.env
  const { AGENT_OPS_SPEC, AGENT_OPS_STATE_DIR, WORKSPACE_DIR, OPENCODE_BIN } = checked(
    variablesSchema.safeParse(variables),
    "The runner's environment is not complete. Start it by its sandbox provider.",
  )
  return {
    spec: readSpec(AGENT_OPS_SPEC),
    stateDirectory: AGENT_OPS_STATE_DIR,
    workspaceDirectory: WORKSPACE_DIR,
    opencode: OPENCODE_BIN,
    home: homedir(),
    base: withoutOwn(variables),
  }
}

function readSpec(path: string): SandboxSpec {
  const parsed = sandboxSpecSchema.safeParse(readJson(path))
  return checked(parsed, `The sandbox's spec in ${path} is not as agreed.`)
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch (error) {
    throw new Error(`The sandbox's spec in ${path} cannot be read.`, { cause: error })
  }
}

function checked<Value>(parsed: z.ZodSafeParseResult<Value>, otherwise: string): Value {
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join(".")}: ${message}`)
  throw new Error([otherwise, ...problems].join("\n"))
}

/** The marks by which a provider finds its processes stay; where the runner's tokens stand does not. */
function withoutOwn(variables: NodeJS.ProcessEnv): Record<string, string> {
  const { AGENT_OPS_SPEC: _spec, OPENCODE_BIN: _program, ...rest } = variables
  return Object.fromEntries(
    Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

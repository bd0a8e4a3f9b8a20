import type { Env } from "../env.ts"
import { inMemoryProvider } from "./in-memory.ts"
import { localProvider } from "./local.ts"
import type { SandboxProvider } from "./provider.ts"

type Choice = Pick<Env, "SANDBOX_PROVIDER" | "AGENT_OPS_LOCAL" | "AGENT_OPS_HOME" | "OPENCODE_BIN">

/** The provider that the environment names. Stand-ins are refused outside a local stack. */
export function chooseProvider(env: Choice): SandboxProvider {
  const { SANDBOX_PROVIDER: name, AGENT_OPS_HOME: home } = env
  if (!env.AGENT_OPS_LOCAL) {
    throw new Error(
      `SANDBOX_PROVIDER=${name} runs agents unisolated on this machine. Set AGENT_OPS_LOCAL=1 if this is a laptop.`,
    )
  }
  switch (name) {
    case "local":
      if (!home)
        throw new Error("SANDBOX_PROVIDER=local keeps sandboxes in AGENT_OPS_HOME. Set it.")
      return localProvider({ home, opencode: env.OPENCODE_BIN })
    case "in-memory":
      return inMemoryProvider(() => Date.now())
    default:
      return name satisfies never
  }
}

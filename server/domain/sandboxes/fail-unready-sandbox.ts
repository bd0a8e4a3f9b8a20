import type { BootPhase } from "#protocol/work"
import type { SystemContext } from "../context.ts"
import { failSandbox } from "./fail-sandbox.ts"
import { ROOMS_AWAY } from "./note-rooms.ts"
import { readPhases } from "./phases.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

const WHILE: Record<BootPhase, string> = {
  machine: "while its machine was made",
  clone: "while the repository was cloned",
  agent: "while the agent started",
  "warm-up": "while the agent warmed up",
}

/** Gives up a sandbox whose deadline passed before it was ready, and says in which phase it got stuck. */
export async function failUnreadySandbox(ctx: SystemContext, ref: SandboxRef): Promise<void> {
  const sandbox = await ctx.db.sandbox.findUnique({ where: { sessionId_generation: ref } })
  if (sandbox?.state !== "starting") return
  const phases = readPhases(sandbox.phases)
  const stuck = phases.find(({ state }) => state === "running") ?? phases.at(-1)
  const seconds = Math.round(ctx.settings.sandboxReadyMs / 1_000)
  const where = stuck?.state === "done" ? `after ${stuck.phase}` : WHILE[stuck?.phase ?? "machine"]
  if (stuck?.detail === ROOMS_AWAY) {
    return failSandbox(ctx, ref, {
      reason: "rooms-unreachable",
      message: `The sandbox was not started within ${seconds} s because the rooms do not answer; an operator checks that they run.`,
    })
  }
  await failSandbox(ctx, ref, {
    reason: "sandbox-not-ready",
    message: `The sandbox was not ready within ${seconds} s: it got stuck ${where}.`,
  })
}

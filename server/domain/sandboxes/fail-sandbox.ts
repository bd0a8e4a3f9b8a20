import type { Failure } from "#protocol/entry"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { giveUpSandbox } from "./give-up-sandbox.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** Gives up a sandbox that did not come up: its session says why, its prompts stay queued. */
export async function failSandbox(
  ctx: SystemContext,
  ref: SandboxRef,
  error: Failure,
): Promise<void> {
  const failed = await changeSession(ctx, ref.sessionId, (tx) => giveUpSandbox(tx, ref, error))
  if (!failed) return
  ctx.log.warn("sandbox.failed", {
    session_id: ref.sessionId,
    generation: ref.generation,
    reason: error.reason,
  })
}

import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** Notes that nothing of the sandbox runs any more. */
export async function markStopped(ctx: SystemContext, ref: SandboxRef): Promise<void> {
  await changeSession(ctx, ref.sessionId, async (tx) => {
    const now = ctx.now()
    await tx.sandbox.updateMany({
      where: { ...ref, state: "stopping" },
      data: { state: "stopped", stoppedAt: now, link: "absent", linkSince: now },
    })
  })
}

import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { changeSession } from "../status/index.ts"
import { LIVE_SANDBOX } from "./live.ts"
import { readPhases, withPhase } from "./phases.ts"
import type { SandboxRef } from "./sandbox-ref.ts"

/** Time that a runner has to die of a broken start before it is looked at for the first time. */
const FIRST_CHECK_MS = 2_000

/** Notes that the machine exists, or has it ended when the sandbox was given up while it was made. */
export async function recordMachine(ctx: SystemContext, ref: SandboxRef): Promise<void> {
  const { sessionId, generation } = ref
  const name = `${sessionId}:${generation}`
  await changeSession(ctx, sessionId, async (tx) => {
    const sandbox = await tx.sandbox.findUnique({
      where: { sessionId_generation: ref, state: { in: [...LIVE_SANDBOX] } },
    })
    if (!sandbox) {
      return addJob(tx, "stop-sandbox", ref, { jobKey: `stop-sandbox:${name}` })
    }
    const now = ctx.now()
    const durationMs = now.getTime() - (sandbox.startedAt ?? now).getTime()
    const done = { phase: "machine", state: "done", durationMs, detail: "", error: null } as const
    await tx.sandbox.update({
      where: { sessionId_generation: ref },
      data: { phases: withPhase(readPhases(sandbox.phases), done, now) },
    })
    const runAt = new Date(now.getTime() + FIRST_CHECK_MS)
    await addJob(tx, "check-sandbox", ref, { jobKey: `check-sandbox:${name}`, runAt })
  })
}

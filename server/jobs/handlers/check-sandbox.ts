import type { Sandbox } from "../../../prisma/generated/client.ts"
import { readPhases } from "../../domain/sandboxes/index.ts"
import { loseSandbox, RUNNER_SILENT, SANDBOX_LOST } from "../../domain/sandboxes/lose-sandbox.ts"
import { sandboxId } from "../../sandbox/provider.ts"
import type { JobContext, JobHandler } from "../context.ts"
import { addJob } from "../queue.ts"
import { within } from "../within.ts"

const CHECK_EVERY_MS = 3_000
const STATUS_DEADLINE_MS = 10_000

/** Looks whether a machine that starts, or whose runner was lost, still exists; again and again until it is settled. */
export const checkSandbox: JobHandler<"check-sandbox"> = async (ctx, ref) => {
  const sandbox = await ctx.db.sandbox.findUnique({ where: { sessionId_generation: ref } })
  if (!sandbox || !hasMachine(sandbox)) return
  const id = sandboxId(ref.sessionId, ref.generation)
  const status = await within(STATUS_DEADLINE_MS, "status", ctx.provider.status(id))
  if (status === "gone") {
    return loseSandbox(ctx, ref, {
      reason: SANDBOX_LOST,
      message: "The sandbox's machine stopped unexpectedly.",
    })
  }
  if (silenceMs(ctx, sandbox) >= ctx.sandboxes.runnerGraceMs) {
    const minutes = Math.round(ctx.sandboxes.runnerGraceMs / 60_000)
    return loseSandbox(ctx, ref, {
      reason: RUNNER_SILENT,
      message: `The sandbox was not heard of for ${minutes} minutes.`,
    })
  }
  if (sandbox.state === "ready" && sandbox.link === "connected") return
  await addJob(ctx.db, "check-sandbox", ref, {
    jobKey: `check-sandbox:${ref.sessionId}:${ref.generation}`,
    runAt: new Date(ctx.now().getTime() + CHECK_EVERY_MS),
  })
}

/** Its create has come back, and nobody has given it up. */
function hasMachine({ state, phases }: Sandbox): boolean {
  if (state === "ready") return true
  const machine = readPhases(phases).find(({ phase }) => phase === "machine")
  return state === "starting" && machine?.state === "done"
}

function silenceMs({ now }: JobContext, { state, link, linkSince }: Sandbox): number {
  const silent = state === "ready" && link === "lost"
  return silent ? now().getTime() - linkSince.getTime() : 0
}

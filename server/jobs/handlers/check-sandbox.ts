import type { Sandbox } from "../../../prisma/generated/client.ts"
import { readPhases } from "../../domain/sandboxes/index.ts"
import { loseSandbox, RUNNER_SILENT, SANDBOX_LOST } from "../../domain/sandboxes/lose-sandbox.ts"
import { PLATFORM_STOPPED } from "../../domain/status/index.ts"
import { sandboxId } from "../../sandbox/provider.ts"
import type { JobContext, JobHandler } from "../context.ts"
import { addJob, type JobPayload } from "../queue.ts"
import { within } from "../within.ts"

const CHECK_EVERY_MS = 3_000
/** What the runner of a machine that is gone said last may still be under way from its room. */
const LAST_WORD_MS = 2_000
const STATUS_DEADLINE_MS = 10_000

/** Looks whether a machine that starts, or whose runner was lost, still exists; again and again until it is settled. */
export const checkSandbox: JobHandler<"check-sandbox"> = async (ctx, { isGone, ...ref }) => {
  const sandbox = await ctx.db.sandbox.findUnique({ where: { sessionId_generation: ref } })
  if (!sandbox || !hasMachine(sandbox)) return
  const id = sandboxId(ref.sessionId, ref.generation)
  const status = await within(STATUS_DEADLINE_MS, "status", ctx.provider.status(id))
  if (status === "stopped") {
    return loseSandbox(ctx, ref, {
      reason: PLATFORM_STOPPED,
      message: "The platform was stopped, and the sandbox with it.",
    })
  }
  if (status === "gone" && sandbox.state === "starting" && !isGone) {
    return lookAgain(ctx, { ...ref, isGone: true }, LAST_WORD_MS)
  }
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
  await lookAgain(ctx, ref, CHECK_EVERY_MS)
}

function lookAgain(ctx: JobContext, payload: JobPayload<"check-sandbox">, afterMs: number) {
  return addJob(ctx.db, "check-sandbox", payload, {
    jobKey: `check-sandbox:${payload.sessionId}:${payload.generation}`,
    runAt: new Date(ctx.now().getTime() + afterMs),
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

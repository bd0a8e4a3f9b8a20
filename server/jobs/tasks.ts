import type { TaskList } from "graphile-worker"
import type * as z from "zod"
import { NotFound } from "../domain/errors.ts"
import type { JobContext } from "./context.ts"
import { announceStatus } from "./handlers/announce-status.ts"
import { checkSandbox } from "./handlers/check-sandbox.ts"
import { deliver } from "./handlers/deliver.ts"
import { endSession } from "./handlers/end-session.ts"
import { revoke } from "./handlers/revoke.ts"
import { sandboxDeadline } from "./handlers/sandbox-deadline.ts"
import { startSandbox } from "./handlers/start-sandbox.ts"
import { stopAttempt } from "./handlers/stop-attempt.ts"
import { stopSandbox } from "./handlers/stop-sandbox.ts"
import { sweepSandboxes } from "./handlers/sweep-sandboxes.ts"
import { type JobName, type JobPayload, jobPayloads } from "./queue.ts"

type Run = (ctx: JobContext, payload: unknown) => Promise<void>

/** Checks what the job is told before its handler sees it. */
function job<Payload>(
  schema: z.ZodType<Payload>,
  handler: (ctx: JobContext, payload: Payload) => Promise<void>,
): Run {
  return (ctx, payload) => handler(ctx, schema.parse(payload))
}

const jobs: Record<JobName, Run> = {
  "start-sandbox": job(jobPayloads["start-sandbox"], startSandbox),
  "sandbox-deadline": job(jobPayloads["sandbox-deadline"], sandboxDeadline),
  "check-sandbox": job(jobPayloads["check-sandbox"], checkSandbox),
  "stop-sandbox": job(jobPayloads["stop-sandbox"], stopSandbox),
  deliver: job(jobPayloads.deliver, deliver),
  "stop-attempt": job(jobPayloads["stop-attempt"], stopAttempt),
  "end-session": job(jobPayloads["end-session"], endSession),
  revoke: job(jobPayloads.revoke, revoke),
  "announce-status": job(jobPayloads["announce-status"], announceStatus),
  "sweep-sandboxes": job(jobPayloads["sweep-sandboxes"], sweepSandboxes),
}

/** The handlers as graphile-worker runs them. */
export function taskList(ctx: JobContext): TaskList {
  return Object.fromEntries(
    Object.entries(jobs).map(([name, run]) => [
      name,
      (payload: unknown) => tolerating(ctx, name, run(ctx, payload)),
    ]),
  )
}

/** Runs one job as the worker does; throws when it is to be tried again. */
export function runJob<Name extends JobName>(
  ctx: JobContext,
  name: Name,
  payload: JobPayload<Name>,
): Promise<void> {
  return tolerating(ctx, name, jobs[name](ctx, payload))
}

async function tolerating(ctx: JobContext, name: string, run: Promise<void>): Promise<void> {
  try {
    await run
  } catch (error) {
    // The session was deleted, and everything that waited for it with it.
    if (!(error instanceof NotFound)) throw error
    ctx.log.info("job.pointless", { job: name, reason: error.reason })
  }
}

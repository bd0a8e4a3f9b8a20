import { runOnce } from "graphile-worker"
import type { JobContext } from "./context.ts"
import { addJob } from "./queue.ts"
import { taskList } from "./tasks.ts"
import { workerLog } from "./worker-log.ts"
import { workerPool } from "./worker-pool.ts"

const CONCURRENCY = 4

/**
 * Runs the jobs that are due, then returns: what serverless hosting does in place of a worker. `sweep` also runs the
 * sweep, as the one-minute cron asks for.
 */
export async function runDueJobs(
  ctx: JobContext,
  databaseUrl: string,
  { sweep }: { sweep: boolean },
): Promise<void> {
  const pgPool = workerPool(databaseUrl, CONCURRENCY + 1, ctx.log)
  try {
    if (sweep) {
      await addJob(ctx.db, "sweep-sandboxes", {}, { jobKey: "sweep-sandboxes", maxAttempts: 1 })
    }
    await runOnce({
      pgPool,
      taskList: taskList(ctx),
      concurrency: CONCURRENCY,
      noHandleSignals: true,
      logger: workerLog(ctx.log),
    })
  } finally {
    await pgPool.end()
  }
}

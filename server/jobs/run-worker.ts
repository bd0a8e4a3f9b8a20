import {
  type ParsedCronItem,
  parseCronItems,
  type Runner,
  run,
  runMigrations,
} from "graphile-worker"
import type { JobContext } from "./context.ts"
import { addJob } from "./queue.ts"
import { releaseAbandoned } from "./release-abandoned.ts"
import { taskList } from "./tasks.ts"
import { workerLog } from "./worker-log.ts"
import { workerPool } from "./worker-pool.ts"

const CONCURRENCY = 6
/** New jobs announce themselves; this finds those whose time has come, and those announced while nobody listened. */
const POLL_MS = 1_000
/** How long jobs may go on after a stop was asked for. */
const STOP_GRACE_MS = 8_000

const SWEEP: ParsedCronItem[] = parseCronItems([
  {
    task: "sweep-sandboxes",
    match: "* * * * *",
    options: { jobKey: "sweep-sandboxes", maxAttempts: 1, backfillPeriod: 0 },
  },
])

/** Runs jobs until stopped. Its `promise` rejects when it cannot go on. */
export async function runWorker(
  ctx: JobContext,
  databaseUrl: string,
): Promise<Runner & { end(): Promise<void> }> {
  const pgPool = workerPool(databaseUrl, CONCURRENCY + 3, ctx.log)
  const logger = workerLog(ctx.log)
  await runMigrations({ pgPool, logger })
  // Whoever held jobs before this process is taken for dead; the first sweep finds what it left behind.
  await releaseAbandoned(ctx.db, 0)
  await addJob(ctx.db, "sweep-sandboxes", {}, { jobKey: "sweep-sandboxes", maxAttempts: 1 })
  const runner = await run({
    pgPool,
    taskList: taskList(ctx),
    concurrency: CONCURRENCY,
    pollInterval: POLL_MS,
    noHandleSignals: true,
    gracefulShutdownAbortTimeout: STOP_GRACE_MS,
    parsedCronItems: SWEEP,
    logger,
  })
  return Object.assign(runner, {
    async end() {
      await runner.stop()
      await pgPool.end()
    },
  })
}

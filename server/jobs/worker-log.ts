import { Logger } from "graphile-worker"
import type { Log } from "../log.ts"

/** graphile-worker's own lines as events of our log; its chatter about each job goes to debug. */
export function workerLog(log: Log): Logger {
  return new Logger((scope) => (level, message, meta) => {
    const fields = { ...scope, message, error: meta?.error }
    if (level === "error") log.error(scope.jobId ? "job.failed" : "worker.failed", fields)
    else if (level === "warning") log.warn("worker.warned", fields)
    else log.debug("worker.noted", fields)
  })
}

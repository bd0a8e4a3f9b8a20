import type { Database } from "../db.ts"
import type { JobName } from "../jobs/queue.ts"

type QueuedJob = { name: JobName; payload: Record<string, unknown>; runAt: Date }

/** The waiting jobs whose payload names `id`, oldest first. */
export function queuedJobs(db: Database, id: string): Promise<QueuedJob[]> {
  return db.$queryRaw<QueuedJob[]>`
    select t.identifier as name, j.payload, j.run_at as "runAt"
      from graphile_worker._private_jobs j
      join graphile_worker._private_tasks t on t.id = j.task_id
     where j.payload->>'sessionId' = ${id} or j.payload->>'promptId' = ${id}
     order by j.id`
}

export const jobNames = async (db: Database, id: string): Promise<JobName[]> =>
  (await queuedJobs(db, id)).map(({ name }) => name)

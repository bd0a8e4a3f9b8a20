import { connectDatabase } from "../../../server/db.ts"
import type { Backend } from "./backend.ts"

/** The real tables and graphile-worker's own, in the database at `url`. Times are the simulation's. */
export function postgresBackend(url: string): Backend & { end(): Promise<void> } {
  const db = connectDatabase(url)
  return {
    db,
    jobs: {
      async take(nowMs) {
        const now = new Date(nowMs)
        const [job] = await db.$queryRaw<{ id: string; name: string; payload: unknown }[]>`
          update graphile_worker._private_jobs job
             set attempts = job.attempts + 1, locked_by = 'simulation', locked_at = now()
            from graphile_worker._private_tasks task
           where task.id = job.task_id
             and job.id = (select id from graphile_worker._private_jobs
                            where is_available = true and run_at <= ${now}
                            order by priority, run_at, id limit 1)
          returning job.id::text, task.identifier as name, job.payload`
        return job ?? null
      },
      async nextAt() {
        const [row] = await db.$queryRaw<{ at: Date | null }[]>`
          select min(run_at) as at from graphile_worker._private_jobs where is_available = true`
        return row?.at?.getTime() ?? null
      },
      async complete(id) {
        await db.$executeRaw`delete from graphile_worker._private_jobs where id = ${id}::bigint`
      },
      async fail(id, nowMs) {
        const now = new Date(nowMs)
        await db.$executeRaw`
          update graphile_worker._private_jobs
             set locked_by = null, locked_at = null,
                 run_at = greatest(${now}, run_at)
                          + ceil(exp(least(attempts, 10)) * 1000) * interval '1 millisecond'
           where id = ${id}::bigint`
      },
      async names() {
        const rows = await db.$queryRaw<{ name: string }[]>`
          select task_identifier as name from graphile_worker.jobs
           where attempts < max_attempts order by id`
        return rows.map(({ name }) => name)
      },
    },
    async clear() {
      await db.$executeRaw`truncate "User", "Team", graphile_worker._private_jobs cascade`
    },
    end: () => db.$disconnect(),
  }
}

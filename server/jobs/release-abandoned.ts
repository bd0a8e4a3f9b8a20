import type { Database } from "../db.ts"

/**
 * Lets others run the jobs that a killed process held for longer than `leaseMs`; graphile-worker itself waits four
 * hours. One whose process lives after all runs twice, which every job bears.
 */
export async function releaseAbandoned(db: Database, leaseMs: number): Promise<void> {
  await db.$executeRaw`
    select graphile_worker.force_unlock_workers(array(
      select distinct locked_by from graphile_worker.jobs
       where locked_at <= now() - make_interval(secs => ${leaseMs / 1_000}::float8)))`
}

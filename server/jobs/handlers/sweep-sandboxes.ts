import { forgetGrants } from "../../domain/grants/index.ts"
import { reviveJobs } from "../../domain/sandboxes/revive-jobs.ts"
import { parseSandboxId, sandboxId } from "../../sandbox/provider.ts"
import type { JobContext, JobHandler } from "../context.ts"
import { releaseAbandoned } from "../release-abandoned.ts"
import { within } from "../within.ts"

/** No job holds its lease longer: each outward call has a shorter deadline. */
const LEASE_MS = 5 * 60_000
const LIST_DEADLINE_MS = 30_000
const TERMINATE_DEADLINE_MS = 60_000

/** Every minute: ends machines that no session knows, sees to it that whatever waits has its job, forgets old grants. */
export const sweepSandboxes: JobHandler<"sweep-sandboxes"> = async (ctx) => {
  await releaseAbandoned(ctx.db, LEASE_MS)
  await forgetGrants(ctx.db, ctx.now())
  const listed = await within(LIST_DEADLINE_MS, "list", ctx.provider.list())
  const known = await knownSandboxes(ctx)
  const ids = new Set(listed.map(({ id }) => id))
  await reviveJobs(ctx, ({ sessionId, generation }) => ids.has(sandboxId(sessionId, generation)))
  await terminateAll(
    ctx,
    [...ids].filter((id) => !known.has(id)),
  )
}

/** Those that have a row which runs, or which its own job ends. Read after the list, so nothing new is missed. */
async function knownSandboxes({ db }: JobContext): Promise<Set<string>> {
  const rows = await db.sandbox.findMany({
    where: { state: { not: "stopped" } },
    select: { sessionId: true, generation: true },
  })
  return new Set(rows.map(({ sessionId, generation }) => sandboxId(sessionId, generation)))
}

async function terminateAll(ctx: JobContext, orphans: readonly string[]): Promise<void> {
  const failures: unknown[] = []
  for (const id of orphans) {
    const sandbox = parseSandboxId(id)
    ctx.log.warn("sandbox.orphan.found", { session_id: sandbox?.sessionId ?? id })
    try {
      await within(TERMINATE_DEADLINE_MS, "terminate", ctx.provider.terminate(id))
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "Some orphans could not be ended")
}

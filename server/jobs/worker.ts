import { isDatabaseUnreachable } from "../database-errors.ts"
import { env } from "../env.ts"
import { system } from "../system.ts"
import { buildJobContext } from "./context.ts"
import { runWorker } from "./run-worker.ts"

const EXIT_DEADLINE_MS = 15_000

const ctx = buildJobContext(system(), env())
const worker = await runWorker(ctx, env().DATABASE_URL).catch(cannotGoOn)

let ending = false
async function end(signal: string): Promise<void> {
  if (ending) return
  ending = true
  ctx.log.info("jobs.ending", { signal })
  setTimeout(() => process.exit(1), EXIT_DEADLINE_MS).unref()
  await worker.end()
  await ctx.db.$disconnect()
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    end(signal).catch((error: unknown) => {
      ctx.log.error("jobs.end.failed", { error })
      process.exit(1)
    })
  })
}

process.stdout.write("jobs ready\n")
await worker.promise.catch(cannotGoOn)
// Reached only by an orderly end: a worker that cannot go on rejects, and whoever started it starts it again.

/** A database that is starting or away is no fault of ours: it is told in a sentence, everything else with its trace. */
function cannotGoOn(error: unknown): never {
  if (isDatabaseUnreachable(error)) {
    const message = `PostgreSQL cannot be used now: ${saidBy(error)}. The worker ends, to be started again.`
    ctx.log.error("jobs.database.unreachable", { message })
  } else ctx.log.error("jobs.failed", { error })
  process.exit(1)
}

/** Of a connection that every address refused only the code says what happened. */
function saidBy(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ("code" in error ? String(error.code) : error.name)
}

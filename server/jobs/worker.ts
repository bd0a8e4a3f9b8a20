import { env } from "../env.ts"
import { system } from "../system.ts"
import { buildJobContext } from "./context.ts"
import { runWorker } from "./run-worker.ts"

const EXIT_DEADLINE_MS = 15_000

const ctx = buildJobContext(system(), env())
const worker = await runWorker(ctx, env().DATABASE_URL)

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
await worker.promise
// Reached only by an orderly end: a worker that cannot go on rejects, and whoever started it starts it again.

import { parseArgs } from "node:util"
import * as z from "zod"
import { env } from "../../server/env.ts"
import { buildJobContext } from "../../server/jobs/context.ts"
import { runWorker } from "../../server/jobs/run-worker.ts"
import { localProvider } from "../../server/sandbox/local.ts"
import { system } from "../../server/system.ts"

/** The jobs worker as a process to be killed, with a runner that the test brings. */
const options = { options: { runner: { type: "string" } } } as const
const { runner } = z.object({ runner: z.string() }).parse(parseArgs(options).values)
const home = z.string().parse(env().AGENT_OPS_HOME)

const ctx = {
  ...buildJobContext(system(), env()),
  provider: localProvider({ home, runner, graceMs: 500 }),
}
const worker = await runWorker(ctx, env().DATABASE_URL)
process.once("SIGTERM", () => worker.end().then(() => ctx.db.$disconnect()))
process.stdout.write("jobs ready\n")
await worker.promise

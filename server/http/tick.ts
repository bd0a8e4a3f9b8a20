import * as z from "zod"
import { verifyKey } from "../auth/keys.ts"
import { env } from "../env.ts"
import { buildJobContext } from "../jobs/context.ts"
import { runDueJobs } from "../jobs/run-once.ts"
import { system } from "../system.ts"
import { json } from "./json-response.ts"
import { readSignedCall, refuse } from "./signed-call.ts"

const MAX_BODY_BYTES = 1_024

/** `sweep` is asked for by the one-minute cron. */
const tickSchema = z.object({ sweep: z.boolean().default(false) })

/** Runs the jobs that are due, for hosts that keep no worker. Signed by the rooms. */
export async function POST(request: Request): Promise<Response> {
  const variables = env()
  const ctx = system()
  const key = verifyKey(variables.ROOMS_VERIFY_KEY)
  const call = await readSignedCall(request, { key, now: ctx.now(), maxBytes: MAX_BODY_BYTES })
  if ("refusal" in call) return call.refusal
  const tick = tickSchema.safeParse(call.value)
  if (!tick.success) return refuse(400, "tick-unreadable")
  await runDueJobs(buildJobContext(ctx, variables), variables.DATABASE_URL, tick.data)
  return json({ ok: true })
}

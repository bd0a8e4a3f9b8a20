import type { Bindings } from "../env.ts"
import { log } from "./log.ts"
import { signPost } from "./tokens.ts"

const TICK_PATH = "/api/internal/tick"
/** The next minute's tick comes anyway. */
const TICK_DEADLINE_MS = 55_000

/** Lets the server run the jobs that are due, and its sweep: on a host that keeps no worker nothing else would. */
export async function postTick(config: Bindings): Promise<void> {
  const body = JSON.stringify({ sweep: true })
  try {
    const token = await signPost(config.ROOMS_SIGNING_KEY, TICK_PATH, body)
    const answer = await fetch(config.WEB_URL + TICK_PATH, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body,
      signal: AbortSignal.timeout(TICK_DEADLINE_MS),
    })
    await answer.arrayBuffer()
    if (!answer.ok) log("tick.refused", { status: answer.status })
  } catch (error) {
    log("tick.failed", { error: String(error) })
  }
}

import { setTimeout as sleep } from "node:timers/promises"
import type { Agent } from "../agent/agent.ts"
import type { Log } from "../log.ts"

const pollMs = 50

/**
 * Has the agent drop what it does in these sessions and waits until they are idle. When it does not within the deadline,
 * its process is killed with all that it started, and started again.
 */
export async function endWork(
  agent: Pick<Agent, "calls" | "restart">,
  sessionIds: string[],
  deadlineMs: number,
  log: Log,
): Promise<void> {
  try {
    await within(deadlineMs, abortAll(agent, sessionIds, deadlineMs))
  } catch (error) {
    log("the agent does not stop and is killed", { error: String(error) })
    await restart(agent, log)
  }
}

/** One that does not come up again does nothing either, and the turn has its own reason to tell. */
export async function restart(agent: Pick<Agent, "restart">, log: Log): Promise<void> {
  await agent.restart().catch((error) => log("the agent stays down", { error: String(error) }))
}

async function abortAll({ calls }: Pick<Agent, "calls">, ids: string[], deadlineMs: number) {
  const giveUpAt = performance.now() + deadlineMs
  for (const id of ids) await calls.abort(id)
  for (const id of ids) {
    while ((await calls.status(id)) !== "idle") {
      if (performance.now() > giveUpAt) throw new Error(`still busy after ${deadlineMs} ms`)
      await sleep(pollMs)
    }
  }
}

/** Rejects when the work takes longer. */
export async function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no end after ${ms} ms`)), ms)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

import { failureSchema } from "#protocol/entry"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import { LIVE_ATTEMPT, readPhases } from "../sandboxes/index.ts"
import { type StatusFacts, sessionStatus } from "./session-status.ts"

/**
 * Stores the status that follows from the session's rows. A change gets the next version, and a job tells the room
 * and the team's bus of it. The caller holds the session's lock.
 */
export async function refreshStatus(tx: Transaction, sessionId: string, now: Date): Promise<void> {
  const { stored, facts } = await readFacts(tx, sessionId)
  const { status, reason } = sessionStatus(facts)
  if (status === stored.status && reason === stored.statusReason) return
  const version = stored.statusVersion + 1
  await tx.session.update({
    where: { id: sessionId },
    data: {
      status,
      statusReason: reason,
      statusVersion: version,
      statusSince: status === stored.status ? undefined : now,
    },
  })
  await tx.statusChange.create({ data: { sessionId, version, status, reason, at: now } })
  await addJob(tx, "announce-status", { sessionId }, { jobKey: `announce:${sessionId}` })
}

async function readFacts(tx: Transaction, sessionId: string) {
  const stored = await tx.session.findUniqueOrThrow({
    where: { id: sessionId },
    include: {
      sandboxes: { orderBy: { generation: "desc" }, take: 1 },
      attempts: { where: { state: { in: [...LIVE_ATTEMPT] }, steer: false }, take: 1 },
      prompts: { where: { state: "queued" }, select: { mode: true } },
      _count: { select: { sandboxes: { where: { readyAt: { not: null } } } } },
    },
  })
  const sandbox = stored.sandboxes[0]
  const attempt = stored.attempts[0]
  const readySandboxes = stored._count.sandboxes - (sandbox?.readyAt ? 1 : 0)
  const facts: StatusFacts = {
    ended: stored.endedAt !== null,
    sandbox: sandbox
      ? {
          state: sandbox.state,
          link: sandbox.link,
          phase: readPhases(sandbox.phases).at(-1)?.phase ?? null,
          error: failureSchema.nullable().parse(sandbox.error),
        }
      : null,
    wakes: readySandboxes > 0,
    attempt: attempt
      ? {
          state: attempt.state === "running" ? "running" : "dispatched",
          stopRequested: attempt.stopRequestedAt !== null,
        }
      : null,
    queued: stored.prompts.length,
    steerQueued: stored.prompts.some(({ mode }) => mode === "steer"),
  }
  return { stored, facts }
}

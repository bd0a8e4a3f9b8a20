import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_ATTEMPT } from "./live.ts"

/** Work that takes longer than this has lost its job, or the job waits out many failures. */
const OVERDUE_MS = 60_000
const BATCH = 200

/**
 * Adds the jobs again that rows wait for. A job that failed for the last time, or was lost with a restored database,
 * would otherwise leave its session waiting for ever. `running` tells which machines exist, null when unknown.
 */
export async function reviveJobs(
  ctx: SystemContext,
  isRunning: (sandbox: { sessionId: string; generation: number }) => boolean,
): Promise<void> {
  const before = new Date(ctx.now().getTime() - OVERDUE_MS)
  await reviveSandboxes(ctx, before, isRunning)
  await reviveAttempts(ctx, before)
  await reviveQueues(ctx, before)
  await reviveAnnouncements(ctx, before)
}

async function reviveSandboxes(
  { db, settings, now }: SystemContext,
  before: Date,
  isRunning: (sandbox: { sessionId: string; generation: number }) => boolean,
): Promise<void> {
  const unfinished = await db.sandbox.findMany({
    // What another provider made (or the seed data pretend) is not ours to check.
    where: {
      state: { not: "stopped" },
      provider: settings.sandboxProvider,
      // A ready one has no job to wait for: as soon as its machine is missing it is looked at.
      OR: [{ state: "ready" }, { createdAt: { lt: before } }],
    },
    select: { sessionId: true, generation: true, state: true, startedAt: true },
    orderBy: { createdAt: "asc" },
  })
  const readyBefore = now().getTime() - settings.sandboxReadyMs
  for (const { state, startedAt, ...ref } of unfinished) {
    const add = (name: "start-sandbox" | "stop-sandbox" | "sandbox-deadline" | "check-sandbox") =>
      addJob(db, name, ref, { jobKey: `${name}:${ref.sessionId}:${ref.generation}` })
    if (state === "requested") await add("start-sandbox")
    else if (state === "stopping") await add("stop-sandbox")
    else if (state === "ready") {
      if (!isRunning(ref)) await add("check-sandbox")
    } else if (startedAt && startedAt.getTime() < readyBefore) await add("sandbox-deadline")
  }
}

async function reviveAttempts({ db }: SystemContext, before: Date): Promise<void> {
  const live = await db.attempt.findMany({
    where: { state: { in: [...LIVE_ATTEMPT] }, createdAt: { lt: before } },
  })
  for (const attempt of live) {
    const { promptId, number, sessionId, generation } = attempt
    if (attempt.stopRequestedAt && attempt.stopRequestedAt < before) {
      await addJob(
        db,
        "stop-attempt",
        { promptId, number },
        { jobKey: `stop:${promptId}:${number}` },
      )
    }
    if (!attempt.acceptedAt) {
      await addJob(db, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}` })
    }
    const stopped = await db.sandbox.count({ where: { sessionId, generation, state: "stopped" } })
    if (stopped > 0) {
      const jobKey = `stop-sandbox:${sessionId}:${generation}`
      await addJob(db, "stop-sandbox", { sessionId, generation }, { jobKey })
    }
  }
}

/** Prompts that wait although a ready sandbox has nothing to do. */
async function reviveQueues({ db }: SystemContext, before: Date): Promise<void> {
  const waiting = await db.session.findMany({
    where: {
      endedAt: null,
      prompts: { some: { state: "queued", createdAt: { lt: before } } },
      attempts: { none: { state: { in: [...LIVE_ATTEMPT] } } },
      sandboxes: { some: { state: "ready", link: "connected" } },
    },
    select: { id: true },
    take: BATCH,
  })
  for (const { id: sessionId } of waiting) {
    await addJob(db, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}` })
  }
}

async function reviveAnnouncements({ db }: SystemContext, before: Date): Promise<void> {
  const behind = await db.session.findMany({
    where: {
      announcedStatus: { lt: db.session.fields.statusVersion },
      statusSince: { lt: before },
    },
    select: { id: true },
    take: BATCH,
  })
  for (const { id: sessionId } of behind) {
    await addJob(db, "announce-status", { sessionId }, { jobKey: `announce:${sessionId}` })
  }
}

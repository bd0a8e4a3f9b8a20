import type { ReportOf } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { addJob } from "../../jobs/queue.ts"
import type { SystemContext } from "../context.ts"
import { giveUpSandbox, readPhases, withPhase } from "../sandboxes/index.ts"

/** How long a lost runner is waited for before its sandbox is looked at. */
const CHECK_AFTER_LOST_MS = 10_000

/** Keeps the phase; a failed one gives the sandbox up, and the session fails with the phase's reason. */
export async function applyBootPhase(
  tx: Transaction,
  ctx: SystemContext,
  sessionId: string,
  report: ReportOf<"boot.phase">,
): Promise<void> {
  const { generation } = report
  const id = { sessionId_generation: { sessionId, generation } }
  const sandbox = await tx.sandbox.findUnique({ where: id })
  if (!sandbox) return
  await tx.sandbox.update({
    where: id,
    data: { phases: withPhase(readPhases(sandbox.phases), report, ctx.now()) },
  })
  if (report.state !== "failed") return
  const error = report.error ?? {
    reason: `boot-${report.phase}-failed`,
    message: `The sandbox's boot phase "${report.phase}" failed.`,
  }
  await giveUpSandbox(tx, { sessionId, generation }, error)
}

/** The sandbox takes prompts from now on; a job hands it the first. */
export async function applyBootReady(
  tx: Transaction,
  ctx: SystemContext,
  session: Session,
  { generation, baseCommit, branch }: ReportOf<"boot.ready">,
): Promise<void> {
  const { count } = await tx.sandbox.updateMany({
    where: { sessionId: session.id, generation, state: { in: ["requested", "starting"] } },
    data: { state: "ready", readyAt: ctx.now() },
  })
  if (count === 0) return
  await tx.session.update({
    where: { id: session.id },
    data: { baseCommit: session.baseCommit ?? baseCommit, branch: session.branch ?? branch },
  })
  await addDeliver(tx, session.id)
}

/** Keeps whether the runner is connected; a lost one has its sandbox looked at a little later. */
export async function applyRunnerLink(
  tx: Transaction,
  ctx: SystemContext,
  sessionId: string,
  { generation, state }: ReportOf<"runner.link">,
): Promise<void> {
  const now = ctx.now()
  const { count } = await tx.sandbox.updateMany({
    where: { sessionId, generation, link: { not: state } },
    data: { link: state, linkSince: now },
  })
  if (count === 0) return
  if (state === "connected") return addDeliver(tx, sessionId)
  const runAt = new Date(now.getTime() + CHECK_AFTER_LOST_MS)
  const jobKey = `check-sandbox:${sessionId}:${generation}`
  await addJob(tx, "check-sandbox", { sessionId, generation }, { jobKey, runAt })
}

const addDeliver = (tx: Transaction, sessionId: string, runAt?: Date) =>
  addJob(tx, "deliver", { sessionId }, { jobKey: `deliver:${sessionId}`, runAt })

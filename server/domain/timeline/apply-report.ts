import type { Report, ReportOf } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { modelCostMicros } from "../models/index.ts"
import { applyAttemptReport } from "./apply-attempt-report.ts"
import { applyBootPhase, applyBootReady, applyRunnerLink } from "./apply-boot-report.ts"
import { returnSteer } from "./return-steer.ts"

/** Applies one durable fact of the room's log. The caller holds the session's lock. */
export async function applyReport(
  tx: Transaction,
  ctx: SystemContext,
  session: Session,
  { seq, report }: { seq: number; report: Report },
): Promise<void> {
  switch (report.type) {
    case "attempt.accepted":
    case "attempt.running":
    case "attempt.ended":
      return applyAttemptReport(tx, ctx, report)
    case "attempt.returned":
      return returnSteer(tx, ctx, session, report)
    case "boot.phase":
      return applyBootPhase(tx, ctx, session.id, report)
    case "boot.ready":
      return applyBootReady(tx, ctx, session, report)
    case "runner.link":
      return applyRunnerLink(tx, ctx, session.id, report)
    case "turn.diff":
      return storeTurnDiff(tx, ctx, session.id, seq, report)
    case "model.usage":
      return storeUsage(tx, ctx, session.id, report)
    default:
      return report satisfies never
  }
}

async function storeTurnDiff(
  tx: Transaction,
  ctx: SystemContext,
  sessionId: string,
  seq: number,
  { turnId, diff }: ReportOf<"turn.diff">,
): Promise<void> {
  const stored = { seq, ...diff, at: ctx.now() }
  await tx.turnDiff.upsert({
    where: { sessionId_turnId: { sessionId, turnId } },
    create: { sessionId, turnId, ...stored },
    update: stored,
  })
}

/** Counts a model call once, whatever number of times the broker reports it. */
async function storeUsage(
  tx: Transaction,
  ctx: SystemContext,
  sessionId: string,
  usage: ReportOf<"model.usage">,
): Promise<void> {
  const costMicros = modelCostMicros(ctx.settings, usage)
  const { count } = await tx.usage.createMany({
    data: {
      callId: usage.callId,
      sessionId,
      promptId: usage.promptId ?? null,
      attempt: usage.attempt ?? null,
      model: usage.model,
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      cachedInputTokens: usage.cachedInputTokens,
      costMicros,
      at: ctx.now(),
    },
    skipDuplicates: true,
  })
  if (count === 0) return
  await tx.session.update({
    where: { id: sessionId },
    data: { costMicros: { increment: costMicros } },
  })
}

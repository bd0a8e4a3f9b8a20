import type { ReportOf } from "#protocol/work"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_ATTEMPT } from "../sandboxes/index.ts"

type AttemptReport = ReportOf<"attempt.accepted" | "attempt.running" | "attempt.ended">

/**
 * Moves an attempt, and its prompt while that is the prompt's newest attempt, only ever forward: the first terminal
 * state wins, later ones are logged (D9).
 */
export async function applyAttemptReport(
  tx: Transaction,
  ctx: SystemContext,
  report: AttemptReport,
): Promise<void> {
  const { promptId, attempt: number } = report
  const now = ctx.now()
  switch (report.type) {
    case "attempt.accepted":
      await tx.attempt.updateMany({
        where: { promptId, number, state: { in: [...LIVE_ATTEMPT] }, acceptedAt: null },
        data: { acceptedAt: now },
      })
      return
    case "attempt.running": {
      const { count } = await tx.attempt.updateMany({
        where: { promptId, number, state: "dispatched" },
        data: { state: "running", startedAt: now },
      })
      if (count > 0) await updatePrompt(tx, report, { state: "running" })
      return
    }
    case "attempt.ended": {
      const { state, error } = report
      const end = { state, error: error ?? undefined, endedAt: now }
      const { count } = await tx.attempt.updateMany({
        where: { promptId, number, state: { in: [...LIVE_ATTEMPT] } },
        data: end,
      })
      if (count > 0) await updatePrompt(tx, report, end)
      else ctx.log.warn("attempt.end.ignored", { prompt_id: promptId, attempt: number, state })
    }
  }
}

async function updatePrompt(
  tx: Transaction,
  { promptId, attempt }: AttemptReport,
  data: Parameters<Transaction["prompt"]["updateMany"]>[0]["data"],
): Promise<void> {
  await tx.prompt.updateMany({
    where: { id: promptId, attempt, state: { in: [...LIVE_ATTEMPT] } },
    data,
  })
}

import type * as z from "zod"
import type { Failure } from "#protocol/entry"
import type { Ask } from "#protocol/runner"
import type { Session } from "../../../prisma/generated/client.ts"
import type { DomainContext } from "../context.ts"

const ASK_DEADLINE_MS = 5_000

type Asked<Value> = { ok: true; value: Value } | { ok: false; error: Failure }

/** Asks the session's sandbox through its room. A sandbox that is not up answers `sandbox-not-running` at once. */
export async function askSandbox<Value>(
  ctx: DomainContext,
  { id: sessionId, generation }: Session,
  ask: Ask,
  answerSchema: z.ZodType<Value>,
): Promise<Asked<Value>> {
  const up = await ctx.db.sandbox.count({
    where: { sessionId, generation, state: "ready", link: "connected" },
  })
  if (up === 0) {
    const message = "The session's sandbox is not running. Wake the session, then ask again."
    return { ok: false, error: { reason: "sandbox-not-running", message } }
  }
  const call = { call: "ask", ask, withinMs: ASK_DEADLINE_MS } as const
  const answer = await ctx.rooms.call(sessionId, call, { withinMs: ASK_DEADLINE_MS + 1_000 })
  if (!answer.ok) return { ok: false, error: answer.error }
  const value = answerSchema.safeParse(answer.value)
  if (value.success) return { ok: true, value: value.data }
  ctx.log.error("sandbox.answer.unreadable", { session_id: sessionId, ask: ask.name })
  const message = "The sandbox gave an answer that could not be read. Try again."
  return { ok: false, error: { reason: "sandbox-answer-unreadable", message } }
}

import type * as z from "zod"
import { sandboxAwaySchema } from "#protocol/call"
import type { Failure } from "#protocol/entry"
import type { Ask } from "#protocol/runner"
import type { Session } from "../../../prisma/generated/client.ts"
import { ROOM_REFUSED } from "../../rooms/client.ts"
import { ROOM_UNREACHABLE } from "../../rooms/port.ts"
import type { DomainContext } from "../context.ts"
import { DomainError, Precondition, Unavailable } from "../errors.ts"

const ASK_DEADLINE_MS = 5_000

type Asked<Value> =
  | { kind: "answered"; value: Value }
  /** The sandbox does not run, or nothing was heard of it: it has said nothing about what was asked. */
  | { kind: "away"; error: DomainError }
  /** It was heard, and cannot answer. */
  | { kind: "refused"; error: DomainError }

/** Asks the session's sandbox through its room. One that does not run is known without asking. */
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
    return { kind: "away", error: new Precondition("sandbox-not-running", message) }
  }
  const call = { call: "ask", ask, withinMs: ASK_DEADLINE_MS } as const
  const answer = await ctx.rooms.call(sessionId, call, { withinMs: ASK_DEADLINE_MS + 1_000 })
  if (!answer.ok) return notAnswered(ctx, sessionId, answer.error)
  const value = answerSchema.safeParse(answer.value)
  if (value.success) return { kind: "answered", value: value.data }
  ctx.log.error("sandbox.answer.unreadable", { session_id: sessionId, ask: ask.name })
  const message =
    "The sandbox gave an answer that could not be read. Try again; if it stays so, tell an operator."
  return { kind: "refused", error: new Precondition("sandbox-answer-unreadable", message) }
}

function notAnswered(
  ctx: DomainContext,
  sessionId: string,
  { reason, message }: Failure,
): Exclude<Asked<never>, { kind: "answered" }> {
  if (reason === ROOM_UNREACHABLE || reason === ROOM_REFUSED) {
    ctx.log.warn("sandbox.ask.undelivered", { session_id: sessionId, reason, message })
    const sentence =
      "The session's room cannot be reached right now. Try again in a few seconds; if it stays so, tell an operator."
    return { kind: "away", error: new Unavailable(reason, sentence) }
  }
  const isAway = sandboxAwaySchema.safeParse(reason).success
  const code = reason === "file-not-found" ? "NOT_FOUND" : "PRECONDITION_FAILED"
  return { kind: isAway ? "away" : "refused", error: new DomainError(code, reason, message) }
}

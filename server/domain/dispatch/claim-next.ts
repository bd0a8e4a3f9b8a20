import { authorSchema } from "#protocol/entry"
import { type Claim, claimSchema } from "#protocol/work"
import type { Attempt, Prompt, Session, User } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { LIVE_ATTEMPT } from "../sandboxes/index.ts"

/** The rows that decide what the room of one generation may run now. */
type ClaimFacts = {
  session: Pick<Session, "endedAt" | "generation">
  sandboxReady: boolean
  live: Pick<Attempt, "generation"> | null
}

/** `repeat` hands out the live attempt once more, `next` claims the head of the queue. */
export function claimPolicy({
  session,
  sandboxReady,
  live,
}: ClaimFacts): "none" | "repeat" | "next" {
  if (session.endedAt) return "none"
  if (live) return live.generation === session.generation ? "repeat" : "none"
  return sandboxReady ? "next" : "none"
}

/**
 * Claims the session's next prompt for its current generation, or answers the claim that already stands (D3). Runs
 * inside `changeSession`.
 */
export async function claimNext(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  session: Session,
): Promise<Claim | null> {
  const { id: sessionId, generation } = session
  const live = await tx.attempt.findFirst({
    where: { sessionId, steer: false, state: { in: [...LIVE_ATTEMPT] } },
  })
  const ready = await tx.sandbox.count({ where: { sessionId, generation, state: "ready" } })
  switch (claimPolicy({ session, sandboxReady: ready > 0, live })) {
    case "none":
      return null
    case "repeat":
      return live && readClaim(tx, ctx, live)
    case "next":
      return claimHead(tx, ctx, session)
  }
}

async function claimHead(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  { id: sessionId, generation }: Session,
): Promise<Claim | null> {
  const head = await tx.prompt.findFirst({
    where: { sessionId, state: "queued" },
    orderBy: [{ position: "asc" }, { createdAt: "asc" }, { id: "asc" }],
  })
  if (!head) return null
  const now = ctx.now()
  const [claimed] = await tx.prompt.updateManyAndReturn({
    where: { id: head.id, state: "queued" },
    data: { state: "dispatched", attempt: { increment: 1 }, startedAt: now, endedAt: null },
  })
  if (!claimed) return null
  const attempt = await tx.attempt.create({
    data: {
      promptId: claimed.id,
      number: claimed.attempt,
      sessionId,
      generation,
      steer: false,
      state: "dispatched",
      createdAt: now,
    },
  })
  return readClaim(tx, ctx, attempt)
}

/** The claim of an attempt as the room is told it. */
export async function readClaim(
  tx: Transaction,
  ctx: Pick<SystemContext, "settings">,
  attempt: Pick<Attempt, "promptId" | "number" | "generation">,
): Promise<Claim> {
  const prompt = await tx.prompt.findUniqueOrThrow({
    where: { id: attempt.promptId },
    include: { author: true },
  })
  return toClaim(prompt, attempt, ctx.settings.turn)
}

function toClaim(
  prompt: Prompt & { author: User },
  attempt: Pick<Attempt, "number" | "generation">,
  deadlines: Claim["deadlines"],
): Claim {
  return claimSchema.parse({
    promptId: prompt.id,
    attempt: attempt.number,
    generation: attempt.generation,
    turnId: prompt.id,
    text: prompt.text,
    author: authorSchema.parse(prompt.author),
    attachments: [],
    model: prompt.model,
    agent: prompt.agent,
    deadlines,
  })
}

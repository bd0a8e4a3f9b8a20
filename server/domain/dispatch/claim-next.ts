import { authorSchema } from "#protocol/entry"
import { type Claim, claimSchema } from "#protocol/work"
import type { Attempt, Prompt, Session, User } from "../../../prisma/generated/client.ts"
import { sql, type Transaction } from "../../db.ts"
import type { SystemContext } from "../context.ts"
import { type DispatchFacts, type LiveAttempt, readDispatchFacts } from "./dispatch-facts.ts"

/** `repeat` hands out the live attempt once more, `next` claims the head of the queue. */
export function claimPolicy(
  session: Pick<Session, "endedAt" | "generation">,
  { live, ready }: Pick<DispatchFacts, "live" | "ready">,
): "none" | "repeat" | "next" {
  if (session.endedAt) return "none"
  if (live) return live.generation === session.generation ? "repeat" : "none"
  return ready ? "next" : "none"
}

/**
 * Claims the session's next prompt for its current generation, or answers the claim that already stands (D3). Runs
 * inside `changeSession`; `facts` are the ones of this transaction, where the caller has read them.
 */
export async function claimNext(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  session: Session,
  known?: DispatchFacts,
): Promise<Claim | null> {
  const facts = known ?? (await readDispatchFacts(tx, session))
  switch (claimPolicy(session, facts)) {
    case "none":
      return null
    case "repeat":
      return facts.live && readClaim(tx, ctx, facts.live)
    case "next":
      return claimHead(tx, ctx, session)
  }
}

function claimHead(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  { id: sessionId, generation }: Session,
): Promise<Claim | null> {
  const head = sql`(
    select id from "Prompt"
     where "sessionId" = ${sessionId} and state = 'queued'
     order by position, "createdAt", id limit 1)`
  return claimWhere(tx, ctx, head, { generation, host: null })
}

type NewAttempt = { generation: number; host: Pick<Attempt, "promptId" | "number"> | null }

/** Claims this prompt, if it is still queued, for a turn of its own or for its host's. */
export function claimPrompt(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  { promptId, ...attempt }: NewAttempt & { promptId: string },
): Promise<Claim | null> {
  return claimWhere(tx, ctx, sql`${promptId}`, attempt)
}

/** One statement: a prompt leaves the queue exactly when its attempt begins. The caller holds the session's lock. */
async function claimWhere(
  tx: Transaction,
  ctx: Pick<SystemContext, "now" | "settings">,
  promptId: ReturnType<typeof sql>,
  { generation, host }: NewAttempt,
): Promise<Claim | null> {
  const now = ctx.now()
  const [claimed] = await tx.$queryRaw<(PromptRow & { attempt: number })[]>`
    with claimed as (
      update "Prompt"
         set state = 'dispatched', attempt = attempt + 1,
             "startedAt" = ${now}::timestamptz, "endedAt" = null
       where id = ${promptId} and state = 'queued'
      returning *),
    begun as (
      insert into "Attempt" ("promptId", number, "sessionId", generation, steer, "hostPromptId",
                             "hostNumber", state, "createdAt")
      select id, attempt, "sessionId", ${generation}::int, ${host !== null}::boolean,
             ${host?.promptId ?? null}::text, ${host?.number ?? null}::int, 'dispatched',
             ${now}::timestamptz
        from claimed)
    select c.id, c.attempt, c.text, c.model, c.agent,
           jsonb_build_object('id', u.id, 'name', u.name) as author
      from claimed c join "User" u on u.id = c."authorId"`
  if (!claimed) return null
  const { attempt: number } = claimed
  const { promptId: hostPromptId = null, number: hostNumber = null } = host ?? {}
  return toClaim(claimed, { number, generation, hostPromptId, hostNumber }, ctx)
}

/** The claim of an attempt as the room is told it. */
export async function readClaim(
  tx: Transaction,
  ctx: Pick<SystemContext, "settings">,
  attempt: Omit<LiveAttempt, "steer">,
): Promise<Claim> {
  const prompt = await tx.prompt.findUniqueOrThrow({
    where: { id: attempt.promptId },
    include: { author: true },
  })
  return toClaim(prompt, attempt, ctx)
}

type PromptRow = Pick<Prompt, "id" | "text" | "model" | "agent"> & {
  author: Pick<User, "id" | "name">
}

function toClaim(
  prompt: PromptRow,
  attempt: Omit<LiveAttempt, "steer" | "promptId">,
  { settings }: Pick<SystemContext, "settings">,
): Claim {
  const { number, generation, hostPromptId, hostNumber } = attempt
  const steers = hostPromptId === null ? undefined : { promptId: hostPromptId, attempt: hostNumber }
  return claimSchema.parse({
    promptId: prompt.id,
    attempt: number,
    generation,
    turnId: hostPromptId ?? prompt.id,
    steers,
    text: prompt.text,
    author: authorSchema.parse(prompt.author),
    attachments: [],
    model: prompt.model,
    agent: prompt.agent,
    deadlines: settings.turn,
  })
}

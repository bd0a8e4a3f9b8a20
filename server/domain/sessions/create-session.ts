import * as z from "zod"
import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import { isUniqueViolation } from "../../database-errors.ts"
import type { Transaction } from "../../db.ts"
import { requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { agentSchema, bodyHash, dispatchQueue, promptText, tellRoom } from "../dispatch/index.ts"
import { Conflict } from "../errors.ts"
import { chooseModel } from "../models/index.ts"
import { refreshStatus } from "../status/index.ts"
import { branchName } from "./branch-name.ts"
import { repositoryUrl } from "./repository-url.ts"
import { type SessionShape, toSession, withCreator } from "./session-shape.ts"
import { sessionTitle, UNTITLED } from "./session-title.ts"

const DEFAULT_AGENT = "build"

export const createSessionInput = z.strictObject({
  repoUrl: z.string(),
  /** A branch or a tag. Left out: the repository's default branch, or its only one when its HEAD names none. */
  branch: z.string().optional(),
  prompt: z.string(),
  model: z.string().max(200).optional(),
  agent: agentSchema.optional(),
  title: z.string().max(1_000).optional(),
  /** Repeating a request with the same key answers the first session. */
  idempotencyKey: z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, "must be 1–200 printable ASCII characters")
    .optional(),
})
export type CreateSessionInput = z.infer<typeof createSessionInput>

/** Creates a session with its first prompt and asks for its sandbox; never waits for one. */
export async function createSession(
  ctx: DomainContext,
  input: CreateSessionInput,
): Promise<SessionShape> {
  requireWrite(ctx)
  const wish = {
    repoUrl: repositoryUrl(input.repoUrl, ctx.settings),
    branch: input.branch === undefined ? null : branchName(input.branch),
    text: promptText(input.prompt),
    model: chooseModel(ctx.settings, input.model),
    agent: input.agent ?? DEFAULT_AGENT,
    title: sessionTitle(input.title ?? "") || sessionTitle(input.prompt) || UNTITLED,
    idempotencyKey: input.idempotencyKey ?? null,
    requestHash: bodyHash([
      input.repoUrl,
      input.branch,
      input.prompt,
      input.model,
      input.agent,
      input.title,
    ]),
  }
  const first = await findFirst(ctx, wish)
  if (first) return first
  try {
    return await insertSession(ctx, wish)
  } catch (error) {
    const winner = isUniqueViolation(error) ? await findFirst(ctx, wish) : null
    if (winner) return winner
    throw error
  }
}

type Wish = Pick<
  Session,
  "repoUrl" | "branch" | "model" | "agent" | "title" | "idempotencyKey" | "requestHash"
> & { text: string }

async function findFirst(
  { db, actor }: DomainContext,
  { idempotencyKey, requestHash }: Wish,
): Promise<SessionShape | null> {
  if (idempotencyKey === null) return null
  const session = await db.session.findUnique({
    where: { teamId_idempotencyKey: { teamId: actor.teamId, idempotencyKey } },
    include: withCreator,
  })
  if (!session) return null
  if (session.requestHash === requestHash) return toSession(session)
  throw new Conflict(
    "idempotency-key-reused",
    "This idempotency key belongs to another request. Use a new key for a new session.",
  )
}

async function insertSession(ctx: DomainContext, wish: Wish): Promise<SessionShape> {
  const { session, claim } = await ctx.db.$transaction(async (tx) => {
    const created = await insertRows(tx, ctx, wish)
    const firstClaim: Claim | null = await dispatchQueue(tx, ctx, created)
    await refreshStatus(tx, created.id, ctx.now())
    const stored = await tx.session.findUniqueOrThrow({
      where: { id: created.id },
      include: withCreator,
    })
    return { session: toSession(stored), claim: firstClaim }
  })
  await tellRoom(ctx, session.id, claim)
  return session
}

function insertRows(tx: Transaction, ctx: DomainContext, wish: Wish): Promise<Session> {
  const { text, ...fields } = wish
  const now = ctx.now()
  return tx.session.create({
    data: {
      ...fields,
      id: ctx.mint("ses"),
      teamId: ctx.actor.teamId,
      createdById: ctx.actor.userId,
      statusReason: "",
      statusSince: now,
      createdAt: now,
      lastActivityAt: now,
      prompts: {
        create: {
          id: ctx.mint("prm"),
          authorId: ctx.actor.userId,
          text,
          mode: "queue",
          model: fields.model,
          agent: fields.agent,
          position: 1,
          bodyHash: fields.requestHash,
          createdAt: now,
        },
      },
    },
  })
}

import * as z from "zod"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { Claim } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import { isUniqueViolation } from "../../database-errors.ts"
import type { Transaction } from "../../db.ts"
import { findSession, requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import {
  agentSchema,
  bodyHash,
  dispatchQueue,
  headPosition,
  promptText,
  tailPosition,
  tellRoom,
} from "../dispatch/index.ts"
import { Conflict } from "../errors.ts"
import { chooseModel } from "../models/index.ts"
import { changeSession } from "../status/index.ts"
import type { PromptShape } from "./prompt-shape.ts"
import { type PromptRef, readPrompt } from "./read-prompt.ts"

export const sendPromptInput = z.strictObject({
  /** Minted by the caller; repeating the same prompt under it answers the first. */
  promptId: promptIdSchema,
  sessionId: sessionIdSchema,
  text: z.string(),
  attachments: z.array(z.never("files cannot be attached yet")).optional(),
  /** Left out: the session's. */
  model: z.string().max(200).optional(),
  agent: agentSchema.optional(),
  /** `steer` goes to the head of the queue, `queue` to its end. */
  mode: z.enum(["queue", "steer"]).default("queue"),
})
export type SendPromptInput = Omit<z.infer<typeof sendPromptInput>, "promptId" | "sessionId"> &
  PromptRef & { sessionId: string }

/**
 * Queues a prompt and wakes the session if need be. When the session is idle the prompt is claimed in the same
 * transaction and its room told at once.
 */
export async function sendPrompt(ctx: DomainContext, input: SendPromptInput): Promise<PromptShape> {
  requireWrite(ctx)
  const text = promptText(input.text)
  const { sessionId, promptId } = input
  const found = await findSession(ctx, sessionId)
  const wish = {
    id: promptId,
    text,
    mode: input.mode,
    model: input.model === undefined ? found.model : chooseModel(ctx.settings, input.model),
    agent: input.agent ?? found.agent,
    bodyHash: bodyHash([sessionId, input.text, input.model, input.agent, input.mode]),
  }
  const claim = await changeSession(ctx, sessionId, (tx, session) =>
    insertPrompt(tx, ctx, session, wish),
  ).catch((error: unknown) => {
    throw isUniqueViolation(error) ? idReused() : error
  })
  await tellRoom(ctx, sessionId, claim)
  return readPrompt(ctx, promptId)
}

type Wish = {
  id: string
  text: string
  mode: "queue" | "steer"
  model: string
  agent: string
  bodyHash: string
}

async function insertPrompt(
  tx: Transaction,
  ctx: DomainContext,
  session: Session,
  wish: Wish,
): Promise<Claim | null> {
  const known = await tx.prompt.findUnique({ where: { id: wish.id } })
  if (known) {
    if (known.bodyHash === wish.bodyHash) return null
    throw idReused()
  }
  if (session.endedAt) {
    throw new Conflict("session-ended", "The session has ended. Create a new one to go on.")
  }
  const now = ctx.now()
  const position = wish.mode === "steer" ? headPosition : tailPosition
  await tx.prompt.create({
    data: {
      ...wish,
      sessionId: session.id,
      authorId: ctx.actor.userId,
      position: await position(tx, session.id),
      createdAt: now,
    },
  })
  await tx.session.update({
    where: { id: session.id },
    data: { lastActivityAt: now, archivedAt: null },
  })
  return dispatchQueue(tx, ctx, session)
}

const idReused = () =>
  new Conflict("prompt-id-reused", "This prompt id belongs to another prompt. Use a new id.")

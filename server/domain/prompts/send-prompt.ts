import * as z from "zod"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { Claim } from "#protocol/work"
import type { Prompt, Session } from "../../../prisma/generated/client.ts"
import type { Transaction } from "../../db.ts"
import { requireWrite } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import {
  agentSchema,
  bodyHash,
  claimSteer,
  dispatchQueue,
  promptText,
  sqlHead,
  sqlTail,
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
  /** `steer` joins the running prompt at the agent's next step, or else goes to the head of the queue. */
  mode: z.enum(["queue", "steer"]).default("queue"),
})
export type SendPromptInput = Omit<z.infer<typeof sendPromptInput>, "promptId" | "sessionId"> &
  PromptRef & { sessionId: string }

/**
 * Queues a prompt and wakes the session if need be. When the session is idle, or the prompt steers one that runs, it is
 * claimed in the same transaction and its room told at once.
 */
export async function sendPrompt(ctx: DomainContext, input: SendPromptInput): Promise<PromptShape> {
  requireWrite(ctx)
  const text = promptText(input.text)
  const { sessionId, promptId } = input
  const claim = await changeSession(ctx, sessionId, (tx, session) => {
    const wish = {
      id: promptId,
      text,
      mode: input.mode,
      model: input.model === undefined ? session.model : chooseModel(ctx.settings, input.model),
      agent: input.agent ?? session.agent,
      bodyHash: bodyHash([sessionId, input.text, input.model, input.agent, input.mode]),
    }
    return queuePrompt(tx, ctx, session, wish)
  })
  await tellRoom(ctx, sessionId, claim)
  return readPrompt(ctx, promptId)
}

type Wish = Pick<Prompt, "id" | "text" | "mode" | "model" | "agent" | "bodyHash">

async function queuePrompt(
  tx: Transaction,
  ctx: DomainContext,
  session: Session,
  wish: Wish,
): Promise<Claim | null> {
  if (session.endedAt || !(await insertPrompt(tx, ctx, session, wish))) {
    return answerKnown(tx, wish)
  }
  const claim = wish.mode === "steer" ? await claimSteer(tx, ctx, session, wish.id) : null
  return claim ?? dispatchQueue(tx, ctx, session)
}

/** Writes the prompt and that its session is in use, in one statement. False when the id is taken. */
async function insertPrompt(
  tx: Transaction,
  ctx: DomainContext,
  { id: sessionId }: Session,
  { id, text, mode, model, agent, bodyHash: hash }: Wish,
): Promise<boolean> {
  const now = ctx.now()
  const position = mode === "steer" ? sqlHead(sessionId, now) : sqlTail(sessionId)
  const written = await tx.$executeRaw`
    with inserted as (
      insert into "Prompt" (id, "sessionId", "authorId", text, mode, model, agent, position,
                            "bodyHash", "createdAt")
      values (${id}, ${sessionId}, ${ctx.actor.userId}, ${text}, ${mode}::"PromptMode", ${model},
              ${agent}, ${position}, ${hash}, ${now}::timestamptz)
      on conflict (id) do nothing
      returning "createdAt")
    update "Session" s set "lastActivityAt" = inserted."createdAt", "archivedAt" = null
      from inserted where s.id = ${sessionId}`
  return written > 0
}

/** Nothing was written: the prompt is a repeat, or its id another's, or its session over. */
async function answerKnown(tx: Transaction, wish: Wish): Promise<null> {
  const known = await tx.prompt.findUnique({ where: { id: wish.id } })
  if (known?.bodyHash === wish.bodyHash) return null
  if (known) {
    throw new Conflict(
      "prompt-id-reused",
      "This prompt id belongs to another prompt. Use a new id.",
    )
  }
  throw new Conflict("session-ended", "The session has ended. Create a new one to go on.")
}

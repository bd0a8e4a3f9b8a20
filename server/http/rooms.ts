import type { KeyObject } from "node:crypto"
import {
  claimAnswerSchema,
  ingestAnswerSchema,
  type RoomPost,
  roomPostSchema,
  type StaleAnswer,
  staleAnswerSchema,
} from "#protocol/call"
import { verifyKey } from "../auth/keys.ts"
import { asDomainError } from "../domain/as-domain-error.ts"
import type { SystemContext } from "../domain/context.ts"
import { claimForRoom } from "../domain/dispatch/index.ts"
import { Unavailable } from "../domain/errors.ts"
import { ingestLog } from "../domain/timeline/index.ts"
import { env } from "../env.ts"
import { system } from "../system.ts"
import { json } from "./json-response.ts"
import { readSignedCall, refuse } from "./signed-call.ts"

const MAX_POST_BYTES = 4 * 1024 * 1024

/** Takes what rooms post: pieces of their log, and requests for the next claim. */
export async function serveRooms(
  request: Request,
  ctx: SystemContext,
  key: KeyObject,
): Promise<Response> {
  const call = await readSignedCall(request, { key, now: ctx.now(), maxBytes: MAX_POST_BYTES })
  if ("refusal" in call) return call.refusal
  const post = roomPostSchema.safeParse(call.value)
  if (!post.success) {
    ctx.log.error("room.post.unreadable", { issues: post.error.issues.slice(0, 3) })
    return refuse(400, "post-unreadable")
  }
  try {
    return await answer(ctx, post.data)
  } catch (error) {
    return failed(ctx, post.data, error)
  }
}

export const POST = (request: Request) =>
  serveRooms(request, system(), verifyKey(env().ROOMS_VERIFY_KEY))

async function answer(ctx: SystemContext, post: RoomPost): Promise<Response> {
  if (post.post === "ingest") {
    const result = await ingestLog(ctx, post)
    return result.kind === "stale"
      ? stale(result)
      : json(ingestAnswerSchema.parse({ ingestedSeq: result.ingestedSeq }))
  }
  const result = await claimForRoom(ctx, post)
  return result.kind === "stale"
    ? stale(result)
    : json(claimAnswerSchema.parse({ claim: result.claim }))
}

const stale = ({ generation, epoch, reason }: StaleAnswer) =>
  json(staleAnswerSchema.parse({ stale: true, generation, epoch, reason }), { status: 409 })

function failed(ctx: SystemContext, post: RoomPost, error: unknown): Response {
  const known = asDomainError(error)
  if (!known) {
    ctx.log.error("room.post.failed", { session_id: post.sessionId, post: post.post, error })
    return refuse(500, "internal-server-error")
  }
  if (known instanceof Unavailable) {
    const headers = { "retry-after": String(known.retryAfterSeconds) }
    return json({ error: { reason: known.reason } }, { status: 503, headers })
  }
  return refuse(known.code === "NOT_FOUND" ? 404 : 400, known.reason)
}

import type * as z from "zod"
import { claimAnswerSchema, ingestAnswerSchema, staleAnswerSchema } from "#protocol/call"
import type { Bindings } from "../env.ts"
import type { PostResult } from "../room/input.ts"
import { log } from "./log.ts"
import { signPost } from "./tokens.ts"

const POST_PATH = "/api/internal/rooms"
const POST_DEADLINE_MS = 15_000

type Post = { post: "ingest" | "claim-next"; sessionId: string; body: string }

export const postIngest = (config: Bindings, post: Omit<Post, "post">) =>
  send(config, { ...post, post: "ingest" }, ingestAnswerSchema)
export const postClaimNext = (config: Bindings, post: Omit<Post, "post">) =>
  send(config, { ...post, post: "claim-next" }, claimAnswerSchema)

/** Posts to the server. Never throws: whatever is not a proper answer means "try again later". */
async function send<Schema extends z.ZodType<object>>(
  config: Bindings,
  { body, ...what }: Post,
  schema: Schema,
): Promise<PostResult<z.output<Schema>>> {
  const late = new AbortController()
  // A timer of its own, cleared at once: one that is pending keeps the room from sleeping.
  const timer = setTimeout(() => late.abort(), POST_DEADLINE_MS)
  try {
    const token = await signPost(config.ROOMS_SIGNING_KEY, POST_PATH, body)
    const answer = await fetch(config.WEB_URL + POST_PATH, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body,
      signal: late.signal,
    })
    const json: unknown = await answer.json()
    if (answer.status === 409) return { ok: false, stale: staleAnswerSchema.parse(json) }
    if (answer.ok) return { ok: true, ...schema.parse(json) }
    log("post.refused", { ...what, status: answer.status })
  } catch (error) {
    log("post.failed", { ...what, error: late.signal.aborted ? "late" : String(error) })
  } finally {
    clearTimeout(timer)
  }
  return { ok: false, stale: null }
}

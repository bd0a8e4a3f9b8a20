import * as z from "zod"
import { claimAnswerSchema, ingestAnswerSchema, staleAnswerSchema } from "#protocol/call"
import type { Bindings } from "../env.ts"
import type { PostResult } from "../room/input.ts"
import { log } from "./log.ts"
import { signPost } from "./tokens.ts"

const POST_PATH = "/api/internal/rooms"
const POST_DEADLINE_MS = 15_000

/** A word of the server's own: it is shown to viewers. */
const refusalSchema = z.object({
  error: z.object({ reason: z.string().regex(/^[a-z0-9-]{1,60}$/) }),
})

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
    if (answer.status === 409) {
      return { ok: false, reason: "stale", stale: staleAnswerSchema.parse(json) }
    }
    if (answer.ok) return { ok: true, ...schema.parse(json) }
    log("post.refused", { ...what, status: answer.status })
    const refusal = refusalSchema.safeParse(json)
    return failed(refusal.success ? refusal.data.error.reason : "server-failed")
  } catch (error) {
    const isLate = late.signal.aborted
    log("post.failed", { ...what, error: isLate ? "late" : String(error) })
    return failed(isLate ? "server-late" : "server-unreachable")
  } finally {
    clearTimeout(timer)
  }
}

const failed = (reason: string) => ({ ok: false, reason, stale: null }) as const

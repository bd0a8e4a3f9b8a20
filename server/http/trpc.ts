import type { TRPCError } from "@trpc/server"
import { fetchRequestHandler } from "@trpc/server/adapters/fetch"
import { MAX_PROMPT_CHARS } from "#protocol/limits"
import type { SystemContext } from "../domain/context.ts"
import { system } from "../system.ts"
import { requestContext } from "../trpc/context.ts"
import { reasonOf, retryAfterSeconds } from "../trpc/errors.ts"
import { appRouter } from "../trpc/root.ts"
import { limitedBody } from "./limited-body.ts"

const ENDPOINT = "/api/trpc"
/** What JSON takes for one UTF-16 unit at most, written as `\uXXXX`. */
const ESCAPED_UNIT_BYTES = 6
/** Everything around the longest text: names, ids, a title, the repository's address. */
const BODY_AROUND_TEXT_BYTES = 64 * 1024
/** A prompt that is not too long fits however its sender writes JSON. */
export const MAX_BODY_BYTES = ESCAPED_UNIT_BYTES * MAX_PROMPT_CHARS + BODY_AROUND_TEXT_BYTES
/** Calls that one request may carry; `server/client.ts` sends no more at once. */
const MAX_BATCH = 50

/** Number of "payload too large" in tRPC's JSON-RPC errors. */
const PAYLOAD_TOO_LARGE = -32013

/** Serves the API. Every error of it, this file's included, has the shape that tRPC clients read. */
export async function serveTrpc(request: Request, ctx: SystemContext): Promise<Response> {
  if (callsOf(request) > MAX_BATCH) return TOO_MANY_CALLS()
  const bounded = request.method === "POST" ? await withLimitedBody(request) : request
  if (!bounded) return TOO_LARGE()
  return fetchRequestHandler({
    endpoint: ENDPOINT,
    req: bounded,
    router: appRouter,
    createContext: () => requestContext(ctx, request.headers),
    responseMeta: ({ errors }) => ({ headers: responseHeaders(errors) }),
    onError: ({ error, path }) => {
      if (error.code !== "INTERNAL_SERVER_ERROR") return
      ctx.log.error("api.call.failed", { path, reason: reasonOf(error), error: error.cause })
    },
  })
}

export const GET = (request: Request) => serveTrpc(request, system())
export const POST = GET

async function withLimitedBody(request: Request): Promise<Request | null> {
  const body = await limitedBody(request, MAX_BODY_BYTES)
  if (!body) return null
  const { url, method, headers, signal } = request
  return new Request(url, { method, headers, signal, body })
}

/** A batch names its procedures in the path, between commas. */
const callsOf = ({ url }: Request) => new URL(url).pathname.split(/,|%2c/i).length

function responseHeaders(errors: readonly TRPCError[]): Headers {
  const headers = new Headers({ "cache-control": "no-store" })
  const waits = errors.flatMap((error) => retryAfterSeconds(error) ?? [])
  if (waits.length > 0) headers.set("retry-after", String(Math.max(...waits)))
  return headers
}

const TOO_LARGE = () =>
  refusal(
    "request-too-large",
    `A request holds up to ${MAX_BODY_BYTES} bytes. Put long text into a file of the repository.`,
  )

const TOO_MANY_CALLS = () =>
  refusal("batch-too-large", `A batch holds up to ${MAX_BATCH} calls. Send the rest separately.`)

function refusal(reason: string, message: string): Response {
  const data = { code: "PAYLOAD_TOO_LARGE", httpStatus: 413, reason }
  const error = { message, code: PAYLOAD_TOO_LARGE, data }
  return Response.json({ error }, { status: 413, headers: { "cache-control": "no-store" } })
}

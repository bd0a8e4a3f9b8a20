import { sessionIdSchema } from "#protocol/ids"
import type { ReportOf } from "#protocol/work"
import { z } from "#protocol/zod"
import {
  admitted,
  type BrokerCall,
  type ModelPermit,
  modelPermitSchema,
} from "../adapter/internal.ts"
import { BadToken, verifyModelToken } from "../adapter/tokens.ts"
import { bindings, type RoomsEnv } from "../env.ts"
import { meteredBody } from "./metered-body.ts"
import { brokerRoute, type Upstream, upstreamFor, type Wire } from "./upstream.ts"

const MAX_REQUEST_BYTES = 32 * 1024 * 1024
const FORWARDED_REQUEST_HEADERS = ["accept", "anthropic-version", "anthropic-beta", "openai-beta"]
const FORWARDED_ANSWER_HEADERS = ["content-type", "retry-after", "request-id", "x-request-id"]

/**
 * Lends a model to a sandbox: `POST /broker/<provider>/v1/<wire path>` with the session's token as its key. The real
 * key is added here, so no sandbox ever holds one.
 */
export async function lendModel(
  request: Request,
  env: RoomsEnv,
  ctx: ExecutionContext,
): Promise<Response> {
  const config = bindings(env)
  const route = brokerRoute(new URL(request.url).pathname)
  if (!route || request.method !== "POST") {
    return refusal(
      404,
      "not-found",
      "The broker has no such address; use POST /broker/<provider>/v1/…",
    )
  }

  const token = await readToken(request, config.SERVER_VERIFY_KEY)
  if (token instanceof Response) return token
  const session = roomOf(env, token.sessionId, token.generation)
  const permit = await session.authorize()
  if (!permit.ok) return refusal(401, permit.error.reason, permit.error.message)

  const upstream = upstreamFor(route.provider, route.path, config)
  if (!upstream) {
    return refusal(
      400,
      "provider-not-configured",
      `The platform has no key for ${route.provider}. An operator adds one, or pick another model.`,
    )
  }

  const call = await readCall(request, route.wire)
  if (call instanceof Response) return call
  const answer = await forward(request, upstream, call.body, route.provider)
  if (answer instanceof Response) return answer

  const headers = pick(answer.upstream.headers, FORWARDED_ANSWER_HEADERS)
  if (!answer.upstream.body) return new Response(null, { status: answer.upstream.status, headers })
  const body = meteredBody(answer.upstream.body, route.wire, isEventStream(headers), (total) => {
    if (total.inputTokens + total.outputTokens === 0) return
    ctx.waitUntil(
      session.recordUsage({
        type: "model.usage",
        callId: `call_${crypto.randomUUID().replaceAll("-", "")}`,
        ...permit.value.attempt,
        model: `${route.provider}/${call.model}`,
        ...total,
      }),
    )
  })
  return new Response(body, { status: answer.upstream.status, headers })
}

async function readToken(request: Request, key: string) {
  const header = request.headers.get("authorization")
  const token = header?.startsWith("Bearer ") ? header.slice(7) : request.headers.get("x-api-key")
  if (!token)
    return refusal(401, "token-missing", "A model call needs the session's token as its key.")
  try {
    const { sub, gen } = await verifyModelToken(token, key)
    return { sessionId: sessionIdSchema.parse(sub), generation: gen }
  } catch (error) {
    if (error instanceof BadToken || error instanceof z.ZodError) {
      return refusal(401, "token-refused", "The session's token is not valid for model calls.")
    }
    throw error
  }
}

const callSchema = z.looseObject({ model: z.string().max(200), stream: z.boolean().optional() })

async function readCall(request: Request, wire: Wire) {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_REQUEST_BYTES) return tooLarge()
  const text = await request.text()
  if (text.length > MAX_REQUEST_BYTES) return tooLarge()
  const parsed = callSchema.safeParse(parseJson(text))
  if (!parsed.success)
    return refusal(400, "bad-request", "A model call is a JSON object with a model.")
  const { model, stream } = parsed.data
  // Without this option a streamed chat completion never says what it cost.
  const metered = wire === "chat-completions" && stream
  const body = metered
    ? JSON.stringify({ ...parsed.data, stream_options: { include_usage: true } })
    : text
  return { model, body }
}

const tooLarge = () =>
  refusal(413, "request-too-large", `A model call may hold ${MAX_REQUEST_BYTES / 1024 / 1024} MB.`)

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function forward(request: Request, upstream: Upstream, body: string, provider: string) {
  const headers = pick(request.headers, FORWARDED_REQUEST_HEADERS)
  headers.set("content-type", "application/json")
  for (const [name, value] of Object.entries(upstream.headers)) headers.set(name, value)
  try {
    const answer = await fetch(upstream.url, {
      method: "POST",
      headers,
      body,
      signal: request.signal,
      redirect: "manual",
    })
    if (answer.status === 401 || answer.status === 403) {
      // A vendor's own text may quote part of the key.
      await answer.body?.cancel()
      return refusal(
        answer.status,
        "provider-refused-key",
        `${provider} refused the platform's key. An operator has to renew it.`,
      )
    }
    return { upstream: answer }
  } catch {
    return refusal(
      502,
      "provider-unreachable",
      `${provider} could not be reached. Try again shortly.`,
    )
  }
}

function roomOf(env: RoomsEnv, sessionId: string, generation: number) {
  const stub = env.Session.get(env.Session.idFromName(sessionId))
  const ask = (call: BrokerCall) =>
    stub.fetch(
      admitted(
        new Request(`https://rooms/parties/session/${sessionId}`, {
          method: "POST",
          body: JSON.stringify(call),
        }),
        { as: "broker", generation },
      ),
    )
  return {
    authorize: async (): Promise<ModelPermit> =>
      modelPermitSchema.parse(await (await ask({ call: "authorize-model" })).json()),
    recordUsage: async (usage: ReportOf<"model.usage">) => {
      const answer = await ask({ call: "usage", usage })
      if (!answer.ok) throw new Error(`The room did not record a call's usage: ${answer.status}`)
    },
  }
}

const isEventStream = (headers: Headers) =>
  headers.get("content-type")?.startsWith("text/event-stream") ?? false

function pick(from: Headers, names: readonly string[]): Headers {
  const headers = new Headers()
  for (const name of names) {
    const value = from.get(name)
    if (value !== null) headers.set(name, value)
  }
  return headers
}

/** An error body that the SDKs of all three wire forms can read. */
function refusal(status: number, reason: string, message: string): Response {
  return Response.json(
    { type: "error", error: { type: reason, code: reason, message } },
    { status },
  )
}

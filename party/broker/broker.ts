import type { ModelClaims } from "#protocol/token"
import { boundedBody } from "../adapter/bounded-body.ts"
import { BadToken, verifyModelToken } from "../adapter/tokens.ts"
import { bindings, type RoomsEnv } from "../env.ts"
import { forward } from "./forward.ts"
import { meteredBody } from "./metered-body.ts"
import { readModelCall } from "./model-call.ts"
import { KeyFilter } from "./redact.ts"
import { refusal } from "./refusal.ts"
import { SessionRoom } from "./session-room.ts"
import { brokerRoute, chooseUpstream } from "./upstream.ts"
import { UsageMeter } from "./usage.ts"

const MAX_REQUEST_BYTES = 32 * 1024 * 1024

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
  if (!route || request.method !== "POST") return NO_SUCH_ADDRESS()
  const claims = await readToken(request, config.SERVER_VERIFY_KEY)
  if (claims instanceof Response) return claims
  const choice = chooseUpstream(route, config)
  if (!choice.ok) return noProvider(route.provider, choice.problem)

  const room = new SessionRoom(env, claims)
  const [permit, json] = await Promise.all([
    room.authorize(),
    boundedBody(request, MAX_REQUEST_BYTES),
  ])
  if (!permit.ok) return refusal(401, permit.error.reason, permit.error.message)
  if (!json) return TOO_LARGE()
  const call = readModelCall(json, route.wire)
  if (!call) return refusal(400, "bad-request", "A model call is a JSON object that names a model.")

  const model = `${route.provider}/${call.model}`
  if (!claims.models.includes(model)) return notOffered(model)

  const answer = await forward(request, route.provider, choice.upstream, call.body)
  if (!answer.answered) return answer.response
  const { status, headers } = answer
  const { key } = choice.upstream
  const body = meteredBody(
    answer.body,
    {
      meter: new UsageMeter(route.wire, isEventStream(headers)),
      keys: key === null ? null : new KeyFilter(key),
    },
    (total) => {
      if (total.inputTokens + total.outputTokens === 0) return
      ctx.waitUntil(
        room.recordUsage({
          type: "model.usage",
          callId: `call_${crypto.randomUUID().replaceAll("-", "")}`,
          ...permit.value.attempt,
          model,
          ...total,
        }),
      )
    },
  )
  return new Response(body, { status, headers })
}

async function readToken(request: Request, key: string): Promise<ModelClaims | Response> {
  const header = request.headers.get("authorization")
  const token = header?.startsWith("Bearer ") ? header.slice(7) : request.headers.get("x-api-key")
  if (!token) {
    return refusal(401, "token-missing", "A model call needs the session's token as its key.")
  }
  try {
    return await verifyModelToken(token, key)
  } catch (error) {
    if (!(error instanceof BadToken)) throw error
    return refusal(401, "token-refused", "The session's token is not valid for model calls.")
  }
}

function noProvider(provider: string, problem: "unknown" | "not-configured"): Response {
  return problem === "unknown"
    ? refusal(
        404,
        "provider-unknown",
        `There is no provider named ${provider}. Pick another model.`,
      )
    : refusal(
        400,
        "provider-not-configured",
        `The platform has no key for ${provider}. An operator adds one, or pick another model.`,
      )
}

const notOffered = (model: string) =>
  refusal(
    400,
    "model-not-offered",
    `This session's sandbox was not given ${model}. Pick a model of the platform's list; a new one is known after the next start.`,
  )

const NO_SUCH_ADDRESS = () =>
  refusal(
    404,
    "not-found",
    "The broker has no such address. Use POST /broker/<provider>/v1/ and then chat/completions, responses or messages.",
  )

const TOO_LARGE = () =>
  refusal(413, "request-too-large", `A model call may hold ${MAX_REQUEST_BYTES / 1024 / 1024} MB.`)

const isEventStream = (headers: Headers) =>
  headers.get("content-type")?.startsWith("text/event-stream") ?? false

import { redactText } from "./redact.ts"
import { refusal } from "./refusal.ts"
import type { Upstream } from "./upstream.ts"

const FORWARDED_REQUEST_HEADERS = ["accept", "anthropic-version", "anthropic-beta", "openai-beta"]
const FORWARDED_ANSWER_HEADERS = [
  "content-type",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "request-id",
  "x-request-id",
]

/** More than any error that a person or an SDK reads. */
const MAX_ERROR_BYTES = 256 * 1024

/** A model's answer that has begun, or the response that the caller gets instead. */
export type Forwarded =
  | { answered: true; status: number; headers: Headers; body: ReadableStream<Uint8Array> }
  | { answered: false; response: Response }

/**
 * Sends a call to its provider. It ends with the caller's own request. How long a provider may take is the caller's
 * decision, so there is no deadline here.
 */
export async function forward(
  request: Request,
  provider: string,
  upstream: Upstream,
  body: Uint8Array,
): Promise<Forwarded> {
  let answer: Response
  try {
    answer = await fetch(upstream.url, {
      method: "POST",
      headers: upstreamHeaders(request, upstream),
      body,
      signal: request.signal,
      redirect: "manual",
    })
  } catch {
    return instead(
      refusal(502, "provider-unreachable", `${provider} could not be reached. Try again shortly.`),
    )
  }
  const { status } = answer
  const headers = answerHeaders(answer, upstream.key)
  if (status === 200 && answer.body) return { answered: true, status, headers, body: answer.body }
  if (status >= 400 && status !== 401 && status !== 403) {
    return instead(new Response(await errorText(answer, upstream.key), { status, headers }))
  }
  // What stands in here may quote part of the key, or lead it elsewhere.
  await answer.body?.cancel()
  return instead(unusable(status, provider))
}

function unusable(status: number, provider: string): Response {
  if (status === 401 || status === 403) {
    return refusal(
      status,
      "provider-refused-key",
      `${provider} refused the platform's key. An operator has to renew it.`,
    )
  }
  return refusal(
    502,
    "provider-answer-unusable",
    `${provider} answered with status ${status}, which is no answer to a model call. An operator checks its base URL.`,
  )
}

const instead = (response: Response): Forwarded => ({ answered: false, response })

function upstreamHeaders(request: Request, upstream: Upstream): Headers {
  const headers = pick(request.headers, FORWARDED_REQUEST_HEADERS)
  headers.set("content-type", "application/json")
  // A compressed stream would arrive in larger pieces, later.
  headers.set("accept-encoding", "identity")
  for (const [name, value] of Object.entries(upstream.headers)) headers.set(name, value)
  return headers
}

function answerHeaders(answer: Response, key: string | null): Headers {
  const headers = pick(answer.headers, FORWARDED_ANSWER_HEADERS)
  for (const [name, value] of headers) headers.set(name, redactText(value, key))
  return headers
}

async function errorText(answer: Response, key: string | null): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length
    text += decoder.decode(chunk, { stream: true })
    if (bytes > MAX_ERROR_BYTES) break
  }
  return redactText(text + decoder.decode(), key)
}

function pick(from: Headers, names: readonly string[]): Headers {
  const headers = new Headers()
  for (const name of names) {
    const value = from.get(name)
    if (value !== null) headers.set(name, value)
  }
  return headers
}

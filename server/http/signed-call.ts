import type { KeyObject } from "node:crypto"
import { SERVER_AUDIENCE } from "#protocol/token"
import { bearer } from "../auth/authenticate.ts"
import { isCallSigned } from "../auth/tokens.ts"
import { json } from "./json-response.ts"
import { limitedBody } from "./limited-body.ts"

/** The JSON of a call that the rooms signed, undefined if it is none, or the answer that refuses the call. */
export async function readSignedCall(
  request: Request,
  { key, now, maxBytes }: { key: KeyObject; now: Date; maxBytes: number },
): Promise<{ value: unknown } | { refusal: Response }> {
  const token = bearer(request.headers)
  if (!token) return { refusal: refuse(401, "call-not-signed") }
  const body = await limitedBody(request, maxBytes)
  if (!body) return { refusal: refuse(413, "request-too-large") }
  const call = { audience: SERVER_AUDIENCE, path: new URL(request.url).pathname, body }
  if (!(await isCallSigned(key, token, call, now))) {
    return { refusal: refuse(401, "call-signature-invalid") }
  }
  return { value: parseJson(new TextDecoder().decode(body)) }
}

export const refuse = (status: number, reason: string) => json({ error: { reason } }, { status })

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

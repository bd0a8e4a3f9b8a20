import { base64url, errors, type JWTVerifyOptions, jwtVerify, SignJWT } from "jose"
import type * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import {
  BROKER_AUDIENCE,
  type CallClaims,
  callClaimsSchema,
  type ModelClaims,
  modelClaimsSchema,
  ROOMS_AUDIENCE,
  type SandboxClaims,
  SERVER_AUDIENCE,
  sandboxClaimsSchema,
  sessionAudience,
  type TicketClaims,
  TOKEN_ISSUER,
  TOKEN_TYPE,
  ticketClaimsSchema,
} from "#protocol/token"
import { signingKey, verifyKey } from "./signing-key.ts"

const publicKeyOf = imported(verifyKey)
const privateKeyOf = imported(signingKey)

const CLOCK_TOLERANCE_SECONDS = 30
const CALL_TTL_SECONDS = 60

/** A token that is missing, forged, expired or meant for something else. The sentence names no secret. */
export class BadToken extends Error {
  override name = "BadToken"
}

export function verifyTicket(token: string, key: string, audience: string): Promise<TicketClaims> {
  const options = { typ: TOKEN_TYPE.ticket, audience, requiredClaims: ["exp"] }
  return verify(token, key, options, ticketClaimsSchema)
}

export async function verifyRunnerToken(
  token: string,
  key: string,
  sessionId: string,
): Promise<SandboxClaims> {
  // A sandbox's tokens have no expiry: its room refuses them once the generation is fenced or the session has ended.
  const options = { typ: TOKEN_TYPE.runner, audience: sessionAudience(sessionId) }
  const claims = await verify(token, key, options, sandboxClaimsSchema)
  if (claims.sub !== sessionId) throw new BadToken("The token is for another session.")
  return claims
}

const modelTokens = new Map<string, ModelClaims>()
const MAX_MODEL_TOKENS = 500

/** A sandbox sends the same token with each model call, so good ones are remembered: they never turn bad by themselves. */
export async function verifyModelToken(token: string, key: string): Promise<ModelClaims> {
  const name = `${key} ${token}`
  const known = modelTokens.get(name)
  if (known) return known
  const options = { typ: TOKEN_TYPE.model, audience: BROKER_AUDIENCE }
  const claims = await verify(token, key, options, modelClaimsSchema)
  if (!sessionIdSchema.safeParse(claims.sub).success) throw new BadToken(NOT_VALID)
  if (modelTokens.size >= MAX_MODEL_TOKENS) modelTokens.clear()
  modelTokens.set(name, claims)
  return claims
}

/** Checks a call of the server for this path. Its body is checked with {@link isBodyOf} once it has been read. */
export async function verifyCall(token: string, key: string, path: string): Promise<CallClaims> {
  const options = {
    typ: TOKEN_TYPE.call,
    audience: ROOMS_AUDIENCE,
    requiredClaims: ["exp", "iat"],
    maxTokenAge: CALL_TTL_SECONDS,
  }
  const claims = await verify(token, key, options, callClaimsSchema)
  if (claims.path !== path) throw new BadToken("The call's token is for another path.")
  return claims
}

/** Whether these are the very bytes that the call was signed with. */
export async function isBodyOf(claims: CallClaims, body: Uint8Array): Promise<boolean> {
  return claims.body === (await sha256(body))
}

/** A token for one post of the rooms to the server. */
export async function signPost(seed: string, path: string, body: string): Promise<string> {
  const claims: CallClaims = { path, body: await sha256(new TextEncoder().encode(body)) }
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.call })
    .setIssuer(TOKEN_ISSUER)
    .setAudience(SERVER_AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(`${CALL_TTL_SECONDS}s`)
    .sign(await privateKeyOf(seed))
}

const NOT_VALID = "The token is not valid here."

async function verify<Schema extends z.ZodType>(
  token: string,
  key: string,
  options: JWTVerifyOptions,
  schema: Schema,
): Promise<z.output<Schema>> {
  const publicKey = await publicKeyOf(key)
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: ["EdDSA"],
      issuer: TOKEN_ISSUER,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      ...options,
    })
    return schema.parse(payload)
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new BadToken("The token has expired.")
    throw new BadToken(NOT_VALID)
  }
}

/** Imports each key once. */
function imported(load: (base64: string) => Promise<CryptoKey>) {
  const keys = new Map<string, Promise<CryptoKey>>()
  return (base64: string): Promise<CryptoKey> => {
    const key = keys.get(base64) ?? load(base64)
    keys.set(base64, key)
    return key
  }
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
  return base64url.encode(digest)
}

import { errors, jwtVerify, SignJWT } from "jose"
import {
  BROKER_AUDIENCE,
  type CallClaims,
  callClaimsSchema,
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
import type { z } from "#protocol/zod"
import { signingKey, verifyKey } from "./signing-key.ts"

const CLOCK_TOLERANCE_SECONDS = 30
const CALL_TTL_SECONDS = 60

/** A token that is missing, forged, expired or meant for something else. The sentence names no secret. */
export class BadToken extends Error {
  override name = "BadToken"
}

export function verifyTicket(token: string, key: string, audience: string): Promise<TicketClaims> {
  return verify(token, key, TOKEN_TYPE.ticket, audience, ticketClaimsSchema)
}

export function verifyRunnerToken(
  token: string,
  key: string,
  sessionId: string,
): Promise<SandboxClaims> {
  return verify(token, key, TOKEN_TYPE.runner, sessionAudience(sessionId), sandboxClaimsSchema)
}

export function verifyModelToken(token: string, key: string): Promise<SandboxClaims> {
  return verify(token, key, TOKEN_TYPE.model, BROKER_AUDIENCE, sandboxClaimsSchema)
}

/** Checks a call of the server: its token is bound to this path and these very bytes. */
export async function verifyCall(
  token: string,
  key: string,
  path: string,
  body: string,
): Promise<CallClaims> {
  const claims = await verify(token, key, TOKEN_TYPE.call, ROOMS_AUDIENCE, callClaimsSchema)
  if (claims.path !== path) throw new BadToken("The call's token is for another path.")
  if (claims.body !== (await sha256(body)))
    throw new BadToken("The call's token is for another body.")
  return claims
}

/** A token for one post of the rooms to the server. */
export async function signPost(seed: string, path: string, body: string): Promise<string> {
  const claims: CallClaims = { path, body: await sha256(body) }
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.call })
    .setIssuer(TOKEN_ISSUER)
    .setAudience(SERVER_AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(`${CALL_TTL_SECONDS}s`)
    .sign(await cachedKey(seed, signingKey))
}

async function verify<Schema extends z.ZodType>(
  token: string,
  key: string,
  typ: string,
  audience: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  try {
    const { payload } = await jwtVerify(token, await cachedKey(key, verifyKey), {
      algorithms: ["EdDSA"],
      issuer: TOKEN_ISSUER,
      audience,
      typ,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      // A sandbox's tokens end when its room fences the generation, which is checked at each use.
      requiredClaims: typ === TOKEN_TYPE.ticket || typ === TOKEN_TYPE.call ? ["exp"] : [],
    })
    return schema.parse(payload)
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new BadToken("The token has expired.")
    throw new BadToken("The token is not valid here.")
  }
}

const keys = new Map<string, Promise<CryptoKey>>()

function cachedKey(base64: string, load: (base64: string) => Promise<CryptoKey>) {
  const name = `${load.name}:${base64}`
  const known = keys.get(name) ?? load(base64)
  keys.set(name, known)
  return known
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}

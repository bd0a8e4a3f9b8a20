import { createHash, type KeyObject } from "node:crypto"
import { errors, jwtVerify, SignJWT } from "jose"
import {
  type AccessRole,
  BROKER_AUDIENCE,
  callClaimsSchema,
  sessionAudience,
  TOKEN_ISSUER,
  TOKEN_TYPE,
} from "#protocol/token"

const ALGORITHM = "EdDSA"
const CALL_TTL_SECONDS = 60
const CLOCK_TOLERANCE_SECONDS = 30

const epochSeconds = (at: Date) => Math.floor(at.getTime() / 1000)

const unsigned = (typ: string, claims: Record<string, unknown>, now: Date) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: ALGORITHM, typ })
    .setIssuer(TOKEN_ISSUER)
    .setIssuedAt(epochSeconds(now))

export type Ticket = {
  audience: string
  grantId: string
  userId: string
  name: string
  role: AccessRole
  expiresAt: Date
}

/** A viewer's single-use ticket for one room or bus. */
export function signTicket(key: KeyObject, ticket: Ticket, now: Date): Promise<string> {
  return unsigned(TOKEN_TYPE.ticket, { name: ticket.name, role: ticket.role }, now)
    .setAudience(ticket.audience)
    .setSubject(ticket.userId)
    .setJti(ticket.grantId)
    .setExpirationTime(epochSeconds(ticket.expiresAt))
    .sign(key)
}

type Place = { sessionId: string; generation: number }

/** What a sandbox of one generation shows its room. Fencing ends it. */
export function signRunnerToken(
  key: KeyObject,
  { sessionId, generation }: Place,
  now: Date,
): Promise<string> {
  return unsigned(TOKEN_TYPE.runner, { gen: generation }, now)
    .setAudience(sessionAudience(sessionId))
    .setSubject(sessionId)
    .sign(key)
}

/** What the same sandbox calls these models with, by their ids. Fencing ends it too. */
export function signModelToken(
  key: KeyObject,
  { sessionId, generation, models }: Place & { models: readonly string[] },
  now: Date,
): Promise<string> {
  return unsigned(TOKEN_TYPE.model, { gen: generation, models }, now)
    .setAudience(BROKER_AUDIENCE)
    .setSubject(sessionId)
    .sign(key)
}

type Call = { audience: string; path: string; body: string | Uint8Array }

const bodyHash = (body: string | Uint8Array) =>
  createHash("sha256").update(body).digest("base64url")

/** The bearer token of one call between server and rooms, good for this path and body only. */
export function signCall(key: KeyObject, call: Call, now: Date): Promise<string> {
  return unsigned(TOKEN_TYPE.call, { path: call.path, body: bodyHash(call.body) }, now)
    .setAudience(call.audience)
    .setExpirationTime(epochSeconds(now) + CALL_TTL_SECONDS)
    .sign(key)
}

/** Whether `token` was signed by the holder of `key` for exactly this call, less than a minute ago. */
export async function isCallSigned(
  key: KeyObject,
  token: string,
  call: Call,
  now: Date,
): Promise<boolean> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      typ: TOKEN_TYPE.call,
      issuer: TOKEN_ISSUER,
      audience: call.audience,
      requiredClaims: ["exp", "iat"],
      maxTokenAge: CALL_TTL_SECONDS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: now,
    })
    const claims = callClaimsSchema.safeParse(payload)
    return (
      claims.success && claims.data.path === call.path && claims.data.body === bodyHash(call.body)
    )
  } catch (error) {
    if (error instanceof errors.JOSEError) return false
    throw error
  }
}

import "./eval-free.ts"
import * as z from "zod"

/**
 * All tokens are EdDSA JWTs; header `typ` tells the kinds apart and `aud` says where one is good. Sandboxes and
 * browsers hold none of the signing keys.
 *
 * | typ | signed by | aud | lives |
 * |---|---|---|---|
 * | `ticket+jwt` | server | `session:<id>` or `bus:<teamId>` | 60 s, single use |
 * | `runner+jwt` | server | `session:<id>` | until its generation is fenced or the session ends |
 * | `model+jwt` | server | `broker` | the same |
 * | `call+jwt` | server or rooms | `rooms` or `server` | 60 s, bound to one body |
 */
export const TOKEN_TYPE = {
  ticket: "ticket+jwt",
  runner: "runner+jwt",
  model: "model+jwt",
  call: "call+jwt",
} as const

export const TOKEN_ISSUER = "agent-ops"

export const sessionAudience = (sessionId: string) => `session:${sessionId}`
export const busAudience = (teamId: string) => `bus:${teamId}`
export const BROKER_AUDIENCE = "broker"
export const ROOMS_AUDIENCE = "rooms"
export const SERVER_AUDIENCE = "server"

/** `operate` may do everything a member may; `observe` reads. */
export const accessRoleSchema = z.enum(["operate", "observe"])
export type AccessRole = z.infer<typeof accessRoleSchema>

/** A viewer's single-use ticket. `sub` is the user id, `jti` the grant's id. */
export const ticketClaimsSchema = z.object({
  sub: z.string(),
  jti: z.string(),
  exp: z.int(),
  name: z.string(),
  role: accessRoleSchema,
})
export type TicketClaims = z.infer<typeof ticketClaimsSchema>

/** A runner's token: `sub` is the session id, `gen` the generation it belongs to. */
export const sandboxClaimsSchema = z.object({ sub: z.string(), gen: z.int().positive() })
export type SandboxClaims = z.infer<typeof sandboxClaimsSchema>

/** A model client's token says besides which models, `provider/model`, it is good for. */
export const modelClaimsSchema = sandboxClaimsSchema.extend({ models: z.array(z.string()) })
export type ModelClaims = z.infer<typeof modelClaimsSchema>

/** A signed call between server and rooms: `path` is the URL's path, `body` the base64url SHA-256 of the body. */
export const callClaimsSchema = z.object({ path: z.string(), body: z.string() })
export type CallClaims = z.infer<typeof callClaimsSchema>

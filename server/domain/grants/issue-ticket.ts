import * as z from "zod"
import { LEASE_SECONDS, TICKET_TTL_SECONDS } from "#protocol/limits"
import { SUBPROTOCOL } from "#protocol/version"
import { accessRole } from "../access/index.ts"
import type { DomainContext } from "../context.ts"

export const connectionSchema = z.object({
  /** Where the WebSocket opens. */
  url: z.string(),
  /** Single-use; offered as the second subprotocol, `[protocol, ticket]`. */
  ticket: z.string(),
  expiresAt: z.iso.datetime(),
  protocol: z.string(),
})
export type Connection = z.infer<typeof connectionSchema>

type Place = { sessionId: string | null; audience: string; path: string }

/** Grants the actor one socket, with the rights it has, and signs the ticket that opens it. */
export async function issueTicket(ctx: DomainContext, place: Place): Promise<Connection> {
  const { actor } = ctx
  const now = ctx.now()
  const grantId = ctx.mint("grt")
  const role = accessRole(actor)
  await ctx.db.grant.create({
    data: {
      id: grantId,
      userId: actor.userId,
      teamId: actor.teamId,
      sessionId: place.sessionId,
      role,
      leaseUntil: new Date(now.getTime() + LEASE_SECONDS * 1_000),
      createdAt: now,
    },
  })
  const expiresAt = new Date(now.getTime() + TICKET_TTL_SECONDS * 1_000)
  const ticket = await ctx.signTicket({
    audience: place.audience,
    grantId,
    userId: actor.userId,
    name: actor.name,
    role,
    expiresAt,
  })
  return {
    url: `${ctx.settings.roomsPublicUrl.replace(/^http/, "ws")}${place.path}`,
    ticket,
    expiresAt: expiresAt.toISOString(),
    protocol: SUBPROTOCOL,
  }
}

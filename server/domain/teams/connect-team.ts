import { busAudience } from "#protocol/token"
import type { DomainContext } from "../context.ts"
import { type Connection, issueTicket } from "../grants/index.ts"

/** A ticket for the bus of the actor's team. */
export function connectTeam(ctx: DomainContext): Promise<Connection> {
  const { teamId } = ctx.actor
  const path = `/parties/bus/${teamId}`
  return issueTicket(ctx, { sessionId: null, audience: busAudience(teamId), path })
}

import { sessionIdSchema } from "#protocol/ids"
import type { StatusChange } from "#protocol/work"
import { callBus, callRoom } from "../call-room.ts"
import type { JobHandler } from "../context.ts"

/** Puts status changes that are not there yet into the session's timeline, and the newest on the team's bus. */
export const announceStatus: JobHandler<"announce-status"> = async (ctx, { sessionId }) => {
  const session = await ctx.db.session.findUnique({ where: { id: sessionId } })
  if (!session) return
  const rows = await ctx.db.statusChange.findMany({
    where: { sessionId, version: { gt: session.announcedStatus } },
    orderBy: { version: "asc" },
  })
  const changes: StatusChange[] = rows.map(({ version, status, reason }) => ({
    version,
    status,
    reason,
  }))
  const change = changes.at(-1)
  if (!change) return
  const call = { call: "session", sessionId: sessionIdSchema.parse(sessionId), change } as const
  const [room] = await Promise.all([
    callRoom(ctx, sessionId, { call: "status", changes }),
    callBus(ctx, session.teamId, call),
  ])
  if (!room.ok) throw new Error(`The room did not take the status: ${room.error.message}`)
  await ctx.db.session.updateMany({
    where: { id: sessionId, announcedStatus: { lt: change.version } },
    data: { announcedStatus: change.version },
  })
}

import type { SimulatedWorld } from "../simulated-world.ts"

const AT_REST = ["idle", "failed", "sleeping", "ended"]
/** Jobs that only wait for a time at which something might have gone wrong. */
const WATCHING = ["sandbox-deadline", "check-sandbox", "sweep-sandboxes"]
const LIVE = ["dispatched", "running"] as const

/** Why the world is not at rest yet, or null. */
export async function unsettled(world: SimulatedWorld): Promise<string | null> {
  const { backend, sessionId, room, people, watchers } = world
  if (sessionId === null) return "nobody has the session's id yet"
  const { db } = backend
  const session = await db.session.findUniqueOrThrow({ where: { id: sessionId } })
  const { status } = session
  if (!AT_REST.includes(status)) return `it is ${status}: ${session.statusReason}`
  const live = await db.attempt.count({ where: { sessionId, state: { in: [...LIVE] } } })
  if (live > 0) return `it is ${status} with a live attempt`
  const queued = await db.prompt.count({ where: { sessionId, state: "queued" } })
  if (queued > 0 && status !== "failed") return `it is ${status} with ${queued} prompts queued`
  const stopping = await db.sandbox.count({ where: { sessionId, state: "stopping" } })
  if (stopping > 0) return "a sandbox is stopping"
  if (session.announcedStatus < session.statusVersion) {
    return `status ${session.statusVersion} is announced to ${session.announcedStatus}`
  }
  const { meta, storedHead } = room.world.state
  if (session.ingestedSeq !== meta.log.head || meta.log.ingestedSeq !== storedHead) {
    return `the room is at ${meta.log.head}, knows of ${meta.log.ingestedSeq}, PostgreSQL is at ${session.ingestedSeq}`
  }
  const busy = people.find(({ isBusy }) => isBusy)
  if (busy) return `${busy.actor.name} waits for an answer`
  const jobs = (await backend.jobs.names()).filter((name) => !WATCHING.includes(name))
  if (jobs.length > 0) return `there are jobs: ${jobs.join()}`
  const behind = watchers.find(
    ({ log }) => log.cursor.epoch !== meta.log.epoch || log.cursor.seq !== storedHead,
  )
  return behind ? `${behind.name} is at ${behind.log.cursor.seq} of ${storedHead}` : null
}

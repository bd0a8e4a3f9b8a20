import type { Entry } from "#protocol/entry"
import { toEntry } from "../../../server/domain/timeline/stored-entry.ts"
import type { SimulatedWorld } from "../simulated-world.ts"
import { agentOffences } from "./agent.ts"
import { changesOffences } from "./changes.ts"
import { outboxOffences } from "./outbox.ts"
import { promptOffences } from "./prompts.ts"
import { timelineOffences } from "./timeline.ts"

/** What a history at rest must look like. Throws with all that does not. */
export async function checkEnd(world: SimulatedWorld): Promise<void> {
  const { sessionId, backend } = world
  if (sessionId === null) throw new Error("[stuck] the session was never created")
  const entries = await storedEntries(world, sessionId)
  const prompts = await backend.db.prompt.findMany({ where: { sessionId } })
  const attempts = await backend.db.attempt.findMany({ where: { sessionId } })
  const session = await backend.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  const changes = await backend.db.statusChange.findMany({
    where: { sessionId },
    orderBy: { version: "asc" },
  })
  const diffs = await backend.db.turnDiff.findMany({ where: { sessionId } })
  const end = { world, entries, prompts, attempts, session, changes, diffs }
  for (const { state } of attempts) world.simulation.count(`an attempt ends ${state}`)
  const offences = [
    ...timelineOffences(end),
    ...promptOffences(end),
    ...outboxOffences(end),
    ...agentOffences(end),
    ...changesOffences(end),
    ...(await machineOffences(world, sessionId)),
  ]
  if (offences.length > 0) throw new Error(offences.slice(0, 12).map(shortened).join("\n"))
}

const shortened = (offence: string) =>
  offence.length <= 900 ? offence : `${offence.slice(0, 900)}…`

async function storedEntries({ backend }: SimulatedWorld, sessionId: string) {
  const rows = await backend.db.$queryRaw<Parameters<typeof toEntry>[0][]>`
    select key, seq, "firstSeq", "turnId", kind, body, at from "Entry"
     where "sessionId" = ${sessionId} and seq > ${0} and seq <= ${2 ** 31 - 1} order by seq
     limit ${100_000}`
  return new Map(rows.map((row) => [row.key, withoutSizes(toEntry(row))]))
}

/** In memory every page tells its size as well. */
function withoutSizes(entry: Entry & { bytesSoFar?: number }): Entry {
  const { bytesSoFar: _, ...rest } = entry
  return rest as Entry
}

/** F10: nothing runs that no session knows. */
async function machineOffences(
  { backend, machines }: SimulatedWorld,
  sessionId: string,
): Promise<string[]> {
  const live = await backend.db.sandbox.findMany({
    where: { sessionId, state: { in: ["requested", "starting", "ready"] } },
  })
  const known = new Set(live.map(({ generation }) => `${sessionId}-g${generation}`))
  return [...machines.inner.running.keys()]
    .filter((id) => !known.has(id))
    .map((id) => `[F10] ${id} still runs`)
}

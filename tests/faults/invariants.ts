import { offencesOf } from "./checks.ts"
import type { FaultSession } from "./fault-session.ts"
import { record } from "./recording.ts"
import { until } from "./until.ts"
import { Viewer } from "./viewer.ts"

/** How long after a fault everybody may take to hold the same, with agents that start again on a busy machine. */
const SETTLED_WITHIN_MS = 60_000

/**
 * Asserts I1–I6 (design: quality) on the database, on every viewer and one that comes just now, and against what the
 * agent stored. Waits until they agree, and throws with all that does not.
 */
export async function assertInvariants(session: FaultSession): Promise<void> {
  const newcomer = await until("the API to let a viewer in", SETTLED_WITHIN_MS, () =>
    Viewer.open(session.stack, session.id),
  )
  let offences: string[] = []
  try {
    await until("all to hold the same", SETTLED_WITHIN_MS, async () => {
      offences = offencesOf(await record(session, [...session.viewers, newcomer]))
      return offences.length === 0
    })
  } catch (error) {
    if (offences.length === 0) throw error
    const shown = offences.slice(0, 10).map((offence) => `  ${offence.slice(0, 600)}`)
    throw new Error(`${offences.length} invariants are broken:\n${shown.join("\n")}`)
  } finally {
    newcomer.close()
  }
}

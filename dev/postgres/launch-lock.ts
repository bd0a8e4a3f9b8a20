import { stat } from "node:fs/promises"
import { withNamedLock } from "../named-lock.ts"
import { StartError } from "./start-error.ts"

/** One launcher at a time for a data directory. */
export async function withLaunchLock<T>(
  dataDir: string,
  deadlineMs: number,
  launch: () => Promise<T>,
): Promise<T> {
  const { dev, ino } = await stat(dataDir)
  const late = () =>
    new StartError(
      `Another launcher has been starting the PostgreSQL in ${dataDir} for ${deadlineMs / 1000} s. End it and try again.`,
    )
  return withNamedLock(`agent-ops-postgres:${dev}:${ino}`, { deadlineMs, late }, launch)
}

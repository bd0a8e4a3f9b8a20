import pg from "pg"
import type { Log } from "../log.ts"

/** Connections for graphile-worker. One that breaks is told of and replaced, in use or not. */
export function workerPool(databaseUrl: string, size: number, log: Log): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: size })
  const lost = (error: Error) => log.warn("worker.connection.lost", { error })
  pool.on("error", lost)
  pool.on("connect", (client) => client.on("error", lost))
  return pool
}

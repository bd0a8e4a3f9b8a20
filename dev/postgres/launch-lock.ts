import { stat } from "node:fs/promises"
import { createServer, type Server } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { StartError } from "./start-error.ts"

const RETRY_MS = 50

/**
 * One launcher at a time for a data directory. The lock is a name in Linux's abstract socket namespace, which the
 * kernel frees when its holder dies in whatever way, so there is never a stale one to judge.
 */
export async function withLaunchLock<T>(
  dataDir: string,
  deadlineMs: number,
  launch: () => Promise<T>,
): Promise<T> {
  const { dev, ino } = await stat(dataDir)
  const name = `\0agent-ops-postgres:${dev}:${ino}`
  const giveUpAt = performance.now() + deadlineMs
  let lock = await bind(name)
  while (!lock) {
    if (performance.now() > giveUpAt) {
      throw new StartError(
        `Another launcher has been starting the PostgreSQL in ${dataDir} for ${deadlineMs / 1000} s. End it and try again.`,
      )
    }
    await sleep(RETRY_MS)
    lock = await bind(name)
  }
  try {
    return await launch()
  } finally {
    lock.close()
  }
}

function bind(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined)
      else reject(error)
    })
    server.listen({ path: name }, () => resolve(server))
  })
}

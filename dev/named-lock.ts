import { createServer, type Server } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const RETRY_MS = 50

/**
 * One process at a time for a name. The lock is that name in Linux's abstract socket namespace, which the kernel frees
 * when its holder dies in whatever way, so there is never a stale one to judge. Throws what `late` makes when the name
 * was not free within the deadline.
 */
export async function withNamedLock<T>(
  name: string,
  { deadlineMs, late }: { deadlineMs: number; late: () => Error },
  work: () => T | Promise<T>,
): Promise<T> {
  const giveUpAt = performance.now() + deadlineMs
  let lock = await bind(`\0${name}`)
  while (!lock) {
    if (performance.now() > giveUpAt) throw late()
    await sleep(RETRY_MS)
    lock = await bind(`\0${name}`)
  }
  try {
    return await work()
  } finally {
    lock.close()
  }
}

function bind(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined)
      else reject(error)
    })
    server.listen({ path }, () => resolve(server))
  })
}

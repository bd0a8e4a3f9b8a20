import { connect, createServer } from "node:net"

const FIRST_PORT = 21_000
const LAST_PORT = 31_000
const PROBE_DEADLINE_MS = 1_000

/** The first of `count` consecutive ports on 127.0.0.1 that nobody listens on. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const span = LAST_PORT - FIRST_PORT
    const first = FIRST_PORT + Math.floor(Math.random() * span)
    const ports = Array.from({ length: count }, (_, offset) => first + offset)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return first
  }
  throw new Error(`No ${count} consecutive free ports between ${FIRST_PORT} and ${LAST_PORT}`)
}

/** Throws a sentence that ends with `next` unless a port of 127.0.0.1 can be listened on. `whose` names its use. */
export async function assertFree(port: number, whose: string, next: string): Promise<void> {
  const code = await bindError(port)
  const name = whose ? `Port ${port}, for ${whose},` : `Port ${port}`
  if (code === null && (await isBlocked(port))) {
    throw new Error(`${name} belongs to another protocol: browsers refuse to open it. ${next}`)
  }
  if (code === null) return
  if (code === "EACCES") {
    throw new Error(`${name} is not open to this account, as most ports below 1024 are. ${next}`)
  }
  throw new Error(`${name} is taken. Stop what listens there, or ${lowerFirst(next)}`)
}

/** Whether a port of 127.0.0.1 can be listened on. */
async function isFree(port: number): Promise<boolean> {
  return (await bindError(port)) === null
}

/** Whether browsers and fetch keep away from a port, as from mail's and chat's; nobody listens on it. */
async function isBlocked(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(PROBE_DEADLINE_MS) })
    return false
  } catch (error) {
    return (
      error instanceof Error && error.cause instanceof Error && error.cause.message === "bad port"
    )
  }
}

/** The system's code for why a port of 127.0.0.1 cannot be listened on; null when it can. */
function bindError(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(null)))
  })
}

const lowerFirst = (sentence: string) => sentence.charAt(0).toLowerCase() + sentence.slice(1)

/** Whether a connection to a port of 127.0.0.1 is refused at once: unlike {@link assertFree} this never takes the port. */
export function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    const answer = (isRefused: boolean) => {
      socket.destroy()
      resolve(isRefused)
    }
    socket.setTimeout(PROBE_DEADLINE_MS, () => answer(false))
    socket.once("connect", () => answer(false))
    socket.once("error", (error: NodeJS.ErrnoException) => answer(error.code === "ECONNREFUSED"))
  })
}

/** Prisma's codes and driver kinds for "PostgreSQL was not there, went away, or had no connection free". */
const UNREACHABLE = new Set<unknown>([
  ...["P1001", "P1002", "P1008", "P1017", "P2024", "P2028", "P2037"],
  ...["DatabaseNotReachable", "ConnectionClosed", "SocketTimeout", "TooManyConnections"],
  ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTFOUND", "ETIMEDOUT"],
])

/** SQLSTATE classes 08 (connection), 53 (resources), 57P (shut down by an operator, or starting up). */
const UNREACHABLE_SQLSTATE = /^(08|53|57P)/

/** What node-postgres says without any code when a connection breaks, is broken already, or cannot be had. */
const BROKEN_CONNECTION = new RegExp(
  [
    "^Connection terminated",
    "^Client has encountered a connection error",
    "^Client was closed",
    "^timeout exceeded when trying to connect",
    "^timeout expired",
    "^Query read timeout",
  ].join("|"),
)

const MAX_CAUSES = 5

/** Whether the request failed because PostgreSQL cannot be reached now; the same request may succeed later. */
export function isDatabaseUnreachable(error: unknown): boolean {
  return causes(error).some((cause) => {
    const { code, kind, originalCode, message } = cause
    if (UNREACHABLE.has(code) || UNREACHABLE.has(kind)) return true
    if (typeof message === "string" && BROKEN_CONNECTION.test(message)) return true
    return [code, originalCode].some(
      (it) => typeof it === "string" && UNREACHABLE_SQLSTATE.test(it),
    )
  })
}

/** SQLSTATE classes 22 (data) and 23 (integrity), and Prisma's codes for the same. */
const REFUSED_SQLSTATE = /^(22|23)/
const REFUSED = new Set<unknown>(["P2000", "P2002", "P2003", "P2004", "P2011", "P2020", "P2033"])

/** Whether PostgreSQL refused what it was given, so that the same request will fail again. */
export function isDataRefused(error: unknown): boolean {
  return causes(error).some(({ code, originalCode }) =>
    [code, originalCode].some(
      (it) => REFUSED.has(it) || (typeof it === "string" && REFUSED_SQLSTATE.test(it)),
    ),
  )
}

/** Whether a unique index refused the row: somebody else wrote it first. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "P2002"
}

type Cause = { code?: unknown; kind?: unknown; originalCode?: unknown; message?: unknown }

/** The error, what caused it, and what its driver says in `meta`. */
function causes(error: unknown): Cause[] {
  const found: Cause[] = []
  const open: unknown[] = [error]
  while (open.length > 0 && found.length < MAX_CAUSES) {
    const next = open.shift()
    if (typeof next !== "object" || next === null) continue
    found.push(next)
    if ("cause" in next) open.push(next.cause)
    if ("meta" in next && typeof next.meta === "object" && next.meta !== null) {
      if ("driverAdapterError" in next.meta) open.push(next.meta.driverAdapterError)
    }
  }
  return found
}

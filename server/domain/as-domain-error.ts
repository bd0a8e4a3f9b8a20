import { isDatabaseUnreachable } from "../database-errors.ts"
import { DomainError, Unavailable } from "./errors.ts"

/** How long a caller is told to wait when PostgreSQL is away. */
const DATABASE_RETRY_SECONDS = 5

/** What went wrong as the domain would have said it; null for what nobody foresaw. */
export function asDomainError(error: unknown): DomainError | null {
  if (error instanceof DomainError) return error
  if (!isDatabaseUnreachable(error)) return null
  return new Unavailable(
    "database-unreachable",
    "The database cannot be reached right now. Nothing was lost; try again in a few seconds.",
    DATABASE_RETRY_SECONDS,
    { cause: error },
  )
}

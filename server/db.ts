import { PrismaPg } from "@prisma/adapter-pg"
import { Prisma, PrismaClient } from "../prisma/generated/client.ts"
import { env } from "./env.ts"

export type Database = PrismaClient
/** What a verb holds inside `db.$transaction`. */
export type Transaction = Prisma.TransactionClient

/** No wait for PostgreSQL is endless, and a process that froze does not keep its locks. */
const DEADLINES_MS = {
  connectionTimeoutMillis: 5_000,
  query_timeout: 30_000,
  statement_timeout: 25_000,
  idle_in_transaction_session_timeout: 30_000,
}
/** Room for many people writing to one session at once: they wait for its lock, each on a connection. */
const POOL_SIZE = 20
const TRANSACTION_MS = { maxWait: 10_000, timeout: 15_000 }

/** A client of its own on `url`; whoever makes one ends it with `$disconnect`. */
export function connectDatabase(url: string): Database {
  const adapter = new PrismaPg(
    { connectionString: url, max: POOL_SIZE, ...DEADLINES_MS },
    // An idle connection that broke is replaced by the pool; a query that needed one reports it itself.
    { onPoolError: () => undefined },
  )
  return new PrismaClient({ adapter, errorFormat: "minimal", transactionOptions: TRANSACTION_MS })
}

let shared: Database | undefined

/** The process's client on DATABASE_URL, made at first use. */
export function database(): Database {
  shared ??= connectDatabase(env().DATABASE_URL)
  return shared
}

/** A piece of a raw query, with its parameters. */
export const sql = Prisma.sql

/** Writes NULL into a JSON column; a plain null would be ambiguous with JSON's own. */
export const SQL_NULL = Prisma.DbNull

import type { Database } from "../../../server/db.ts"
import { connectDatabase } from "../../../server/db.ts"
import type { Backend } from "./backend.ts"
import { JobTable } from "./job-table.ts"
import { runStatement } from "./statements.ts"
import { Tables } from "./tables.ts"

/** Nothing connects to it: the client only lends its type to the tables. */
const NOWHERE = "postgres://nobody@127.0.0.1:1/none"

/**
 * Rows and jobs in memory. `simulation.test.ts` holds it against PostgreSQL: the same seeds must give the same
 * histories on both.
 */
export function memoryBackend(): Backend & { usedSql: ReadonlySet<string> } {
  const usedSql = new Set<string>()
  const tables = new Tables()
  const jobs = new JobTable(tables)
  return {
    db: memoryDatabase(tables, jobs, usedSql),
    usedSql,
    jobs: {
      take: async (nowMs) => jobs.take(nowMs),
      nextAt: async () => jobs.nextAt,
      complete: async (id) => jobs.complete(id),
      fail: async (id, nowMs) => jobs.fail(id, nowMs),
      names: async () => jobs.names,
    },
    async clear() {
      tables.clear()
      jobs.clear()
    },
  }
}

function memoryDatabase(tables: Tables, jobs: JobTable, usedSql: Set<string>): Database {
  const statement = async (strings: readonly string[], ...values: unknown[]) =>
    runStatement(tables, jobs, usedSql, strings, values)
  const members = new Map<string | symbol, unknown>([
    ["$queryRaw", statement],
    ["$executeRaw", statement],
  ])
  const client: Database = new Proxy(connectDatabase(NOWHERE), {
    get(_target, name) {
      if (!members.has(name)) members.set(name, modelProxy(tables, String(name)))
      return members.get(name)
    },
  })
  members.set("$transaction", (work: (tx: Database) => Promise<unknown>) =>
    tables.transaction(() => work(client)),
  )
  return client
}

function modelProxy(tables: Tables, model: string): object {
  const fields = new Proxy({}, { get: (_target, field) => ({ fieldRef: String(field) }) })
  return new Proxy(
    {},
    {
      get: (_target, operation) =>
        operation === "fields"
          ? fields
          : async (args?: object) => tables.call(model, String(operation), args),
    },
  )
}

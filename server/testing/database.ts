import { randomUUID } from "node:crypto"
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import pg from "pg"
import { afterAll, inject } from "vitest"
import * as z from "zod"
import { connectDatabase, type Database } from "../db.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** Where tests/setup/database-server.ts answers with the URL of the run's PostgreSQL. */
    testDatabaseSocket: string
  }
}

export const TEMPLATE = "test_template"

const answerSchema = z.union([z.object({ url: z.string() }), z.object({ error: z.string() })])

/**
 * A client on a migrated, empty database that belongs to the calling test file alone; it is dropped after the file's
 * last test. Call it at the top of the file.
 */
export async function testDatabase(): Promise<Database> {
  return connectDatabase(await testDatabaseUrl())
}

/** The same for tests that connect by themselves. */
export async function testDatabaseUrl(): Promise<string> {
  const serverUrl = await askForServer()
  const name = `test_${randomUUID().replaceAll("-", "")}`
  await run(serverUrl, `create database ${name} template ${TEMPLATE}`)
  afterAll(() => run(serverUrl, `drop database ${name} with (force)`))
  return serverUrl.replace(/[^/]*$/, name)
}

async function askForServer(): Promise<string> {
  const answer = answerSchema.parse(JSON.parse(await text(connect(inject("testDatabaseSocket")))))
  if ("error" in answer) throw new Error(answer.error)
  return answer.url
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import pg from "pg"
import { afterEach, beforeEach, expect, test } from "vitest"
import { clusterFiles } from "../../dev/postgres/cluster-files.ts"
import { findRunningServer } from "../../dev/postgres/running-server.ts"
import { runCommand } from "../../dev/run-command.ts"
import { testDatabaseUrl } from "../../server/testing/database.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const url = await testDatabaseUrl()
let home: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "agent-ops-test-"))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

test("without DATABASE_URL the home gets a database, and no server is left running", async () => {
  const first = await script("setup")
  expect(first).toMatchObject({ ok: true })
  expect(first.output).toContain("Added 11 sessions")
  expect((await script("seed")).output).toContain("there already")
  expect(findRunningServer(clusterFiles(join(home, "postgres")))).toBeUndefined()
  expect(first.output).not.toMatch(/postgres:[^…@]+@/)
})

test("reset brings everything back to the seed data, the job queue too", async () => {
  await script("setup", url)
  await query(`delete from "Session"`)
  await query(`select graphile_worker.add_job('deliver', '{}'::json)`)
  expect((await script("reset", url)).output).toContain("Added 11 sessions")
  expect(await query(`select count(*)::int as n from graphile_worker.jobs`)).toEqual([{ n: 0 }])
})

test("reset refuses a database that is in use, and one on another machine", async () => {
  const user = new pg.Client({ connectionString: url })
  await user.connect()
  const inUse = await script("reset", url)
  await user.end()
  expect(inUse.ok).toBe(false)
  expect(inUse.output).toContain("is in use")

  const elsewhere = await script("reset", url.replace("127.0.0.1", "192.0.2.1"))
  expect(elsewhere.ok).toBe(false)
  expect(elsewhere.output).toContain("is not on this machine")
})

test("a DATABASE_URL that nobody answers at is one sentence, without its password", async () => {
  const refused = await script("migrate", "postgresql://ada:secret@127.0.0.1:1/shop")
  expect(refused.ok).toBe(false)
  expect(refused.output).toContain("does not answer")
  expect(refused.output).not.toContain("secret")
})

function script(name: string, databaseUrl = "") {
  return runCommand([process.execPath, join(ROOT, "dev/db", `${name}.ts`)], {
    deadlineMs: 60_000,
    capture: true,
    env: { AGENT_OPS_HOME: home, DATABASE_URL: databaseUrl },
  })
}

async function query(sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

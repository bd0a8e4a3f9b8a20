import { fileURLToPath } from "node:url"
import pg from "pg"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { runCommand } from "../../dev/run-command.ts"
import { testDatabaseUrl } from "../../server/testing/database.ts"

const PRISMA = fileURLToPath(new URL("../../node_modules/.bin/prisma", import.meta.url))
const url = await testDatabaseUrl()
const client = new pg.Client({ connectionString: url })

/** One valid row in each table; a test adds or changes one thing. */
const VALID = `
  insert into "User" (id, name) values ('usr_1', 'Ada');
  insert into "Team" (id, name) values ('team_1', 'Team');
  insert into "Session" (id, "teamId", "createdById", title, "repoUrl", model, agent, "requestHash",
                         "statusReason", "statusSince", "createdAt", "lastActivityAt")
    values ('ses_1', 'team_1', 'usr_1', 't', 'file:///r', 'm', 'a', 'h', '', now(), now(), now());
  insert into "Prompt" (id, "sessionId", "authorId", text, mode, model, agent, position, "bodyHash", state, "createdAt")
    values ('prm_1', 'ses_1', 'usr_1', 'x', 'queue', 'm', 'a', 1, 'h', 'running', now()),
           ('prm_2', 'ses_1', 'usr_1', 'x', 'queue', 'm', 'a', 2, 'h', 'queued', now());
  insert into "Attempt" ("promptId", number, "sessionId", generation, steer, state, "createdAt")
    values ('prm_1', 1, 'ses_1', 1, false, 'running', now());
  insert into "Entry" ("sessionId", key, seq, "firstSeq", kind, body, at)
    values ('ses_1', 'prompt:prm_1', 2, 1, 'prompt', '{}', now());
  insert into "Sandbox" ("sessionId", generation, provider, state, "linkSince", "createdAt")
    values ('ses_1', 1, 'local', 'ready', now(), now());
  insert into "Grant" (id, "userId", "teamId", role, "leaseUntil", "createdAt")
    values ('grt_1', 'usr_1', 'team_1', 'operate', now(), now());
`

const attempt = (columns: {
  number?: number
  steer?: boolean
  host?: string
  state?: string
  ended?: boolean
}) => {
  const { number = 1, steer = false, state = "running", ended = false } = columns
  const host = columns.host ?? (steer ? "'prm_1', 1" : "null, null")
  return `insert into "Attempt" ("promptId", number, "sessionId", generation, steer, "hostPromptId", "hostNumber", state, "createdAt", "endedAt")
          values ('prm_2', ${number}, 'ses_1', 1, ${steer}, ${host}, '${state}', now(), ${ended ? "now()" : "null"})`
}
const sandbox = (state: string) =>
  `insert into "Sandbox" ("sessionId", generation, provider, state, "linkSince", "createdAt")
   values ('ses_1', 2, 'local', '${state}', now(), now())`

/** What each hand-written constraint refuses. */
const REFUSED: Record<string, string[]> = {
  attempt_one_live: [attempt({}), attempt({ state: "dispatched" })],
  sandbox_one_live: ["requested", "starting", "ready"].map(sandbox),
  attempt_number_positive: [attempt({ number: 0, steer: true })],
  attempt_state: [
    attempt({ state: "queued", ended: true }),
    attempt({ state: "withdrawn", ended: true }),
  ],
  attempt_end: [attempt({ state: "succeeded" }), attempt({ steer: true, ended: true })],
  attempt_host: [
    attempt({ steer: true, host: "null, null" }),
    attempt({ steer: true, host: "'prm_1', null" }),
    attempt({ state: "failed", ended: true, host: "'prm_1', 1" }),
  ],
  prompt_text_not_empty: [`update "Prompt" set text = ''`],
  prompt_end: [
    `update "Prompt" set state = 'withdrawn' where id = 'prm_2'`,
    `update "Prompt" set "endedAt" = now() where id = 'prm_2'`,
    `update "Prompt" set "endedAt" = now() where id = 'prm_1'`,
  ],
  entry_seq_order: [`update "Entry" set seq = 0`, `update "Entry" set "firstSeq" = 0`],
  session_ended: [
    `update "Session" set status = 'ended'`,
    `update "Session" set "endedAt" = now()`,
  ],
  session_counters: [
    `update "Session" set generation = -1`,
    `update "Session" set "ingestedSeq" = -1`,
    `update "Session" set "costMicros" = -1`,
    `update "Session" set "announcedStatus" = 1`,
  ],
  grant_role: [`update "Grant" set role = 'owner'`],
}

beforeAll(() => client.connect())
afterAll(() => client.end())
beforeEach(async () => {
  await client.query("begin")
  await client.query(VALID)
})
afterEach(() => client.query("rollback"))

for (const [name, statements] of Object.entries(REFUSED)) {
  for (const [index, statement] of statements.entries()) {
    test(`${name} refuses its violation ${index + 1}`, async () => {
      await expect(client.query(statement)).rejects.toMatchObject({ constraint: name })
    })
  }
}

test("[D2] what the partial indexes leave out is allowed", async () => {
  await client.query(attempt({ steer: true }))
  await client.query(`update "Sandbox" set state = 'stopping'`)
  await client.query(sandbox("ready"))
  await client.query(`update "Attempt" set state = 'stopped', "endedAt" = now()`)
  await client.query(attempt({ number: 2 }))
})

test("every constraint of the hand-written migrations stands above, and none is gone", async () => {
  const checks = `select conname as name from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace`
  const partial = `select indexrelid::regclass::text as name from pg_index join pg_class on pg_class.oid = indrelid
                    where indpred is not null and relnamespace = 'public'::regnamespace`
  const { rows } = await client.query<{ name: string }>(`${checks} union all ${partial}`)
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(REFUSED).sort())
})

test("the migrations lead to the schema, and the schema needs no other", async () => {
  for (const from of ["--from-migrations=prisma/migrations", "--from-config-datasource"]) {
    const diff = await runCommand(
      [PRISMA, "migrate", "diff", from, "--to-schema=prisma/schema.prisma", "--exit-code"],
      { deadlineMs: 60_000, capture: true, env: { DATABASE_URL: url } },
    )
    expect(diff.output).toContain("No difference detected")
    expect(diff.ok).toBe(true)
  }
})

import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import pg from "pg"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { launchPostgres, type Postgres } from "../../dev/postgres/launch.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const NOTE = "model Note {\n  id Int @id\n  text String\n}\n"
const NOTE_WITH_AUTHOR = "model Note {\n  id Int @id\n  text String\n  author String?\n}\n"
const FUNCTION = `create function shout(what text) returns text language plpgsql as $$
begin
  what := upper(what); return what || '!;';
end;
$$;
create table "Extra" (id int primary key);
drop table "Extra";
`

let home: string
let server: Postgres
let project: string
let url: string
let count = 0

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "agent-ops-test-"))
  server = await launchPostgres({ dataDir: join(home, "postgres"), isThrowaway: true })
})

afterAll(async () => {
  await server.stop()
  rmSync(home, { recursive: true, force: true })
})

beforeEach(() => {
  count += 1
  project = join(home, `project-${count}`)
  url = server.url.replace(/postgres$/, `engine_${count}`)
  mkdirSync(join(project, "prisma"), { recursive: true })
  symlinkSync(join(ROOT, "node_modules"), join(project, "node_modules"))
  writeFileSync(
    join(project, "prisma.config.ts"),
    `export default {
       schema: "prisma/schema.prisma",
       migrations: { path: "prisma/migrations" },
       datasource: { url: process.env.DATABASE_URL },
     }`,
  )
  writeSchema(NOTE)
})

test("migrate dev makes the database, writes a migration and applies it; a second one follows", async () => {
  expect(await prisma("migrate dev --name init")).toMatchObject({ code: 0 })
  writeSchema(NOTE_WITH_AUTHOR)
  expect(await prisma("migrate dev --name author")).toMatchObject({ code: 0 })
  expect(await columns()).toEqual(["author", "id", "text"])
  expect(migrations().map((name) => name.replace(/^\d+_/, ""))).toEqual(["init", "author"])
})

test("a recorded checksum is the SHA-256 of its migration.sql, as the native engine writes it", async () => {
  await prisma("migrate dev --name init")
  const sql = readFileSync(
    join(project, "prisma/migrations", migrations()[0] ?? "", "migration.sql"),
  )
  const rows = await query("select checksum from _prisma_migrations")
  expect(rows).toEqual([{ checksum: createHash("sha256").update(sql).digest("hex") }])
})

test("migrate dev applies the migration files that wait, and goes on to make the next", async () => {
  await prisma("migrate dev --name init")
  await emptyDatabase()
  expect(await prisma("migrate dev")).toMatchObject({ code: 0 })

  await emptyDatabase()
  writeSchema(NOTE_WITH_AUTHOR)
  expect(await prisma("migrate dev --name author")).toMatchObject({ code: 0 })
  expect(await columns()).toEqual(["author", "id", "text"])
  expect(await shadowDatabases()).toEqual([])
})

test("migrate deploy makes the database, runs a function body whole, and does nothing the second time", async () => {
  await prisma("migrate dev --name init")
  writeMigration("29990101000000_function", FUNCTION)
  await emptyDatabase()
  const first = await prisma("migrate deploy")
  expect(first).toMatchObject({ code: 0 })
  expect(first.output).toContain("29990101000000_function")
  expect(await query("select shout('hey')")).toEqual([{ shout: "HEY!;" }])

  const second = await prisma("migrate deploy")
  expect(second).toMatchObject({ code: 0 })
  expect(second.output).toContain("No pending migrations")
})

test("migrate status tells pending from applied by its exit code", async () => {
  await prisma("migrate dev --name init")
  expect(await prisma("migrate status")).toMatchObject({ code: 0 })
  writeMigration("29990101000000_function", FUNCTION)
  expect(await prisma("migrate status")).toMatchObject({ code: 1 })
})

test("migrate diff --exit-code tells whether files, database and schema agree", async () => {
  await prisma("migrate dev --name init")
  const fromFiles =
    "migrate diff --from-migrations prisma/migrations --to-schema prisma/schema.prisma"
  const fromDatabase = "migrate diff --from-config-datasource --to-schema prisma/schema.prisma"
  expect(await prisma(`${fromFiles} --exit-code`)).toMatchObject({ code: 0 })
  expect(await prisma(`${fromDatabase} --exit-code`)).toMatchObject({ code: 0 })
  writeSchema(NOTE_WITH_AUTHOR)
  expect(await prisma(`${fromFiles} --exit-code`)).toMatchObject({ code: 2 })
  expect(await prisma(`${fromDatabase} --exit-code`)).toMatchObject({ code: 2 })
  const script = await prisma(`${fromFiles} --script`)
  expect(script.output).toContain('ALTER TABLE "Note" ADD COLUMN     "author" TEXT')
  expect(await shadowDatabases()).toEqual([])
})

test("keys, checks, partial indexes, identity and generated columns are read back without a difference", async () => {
  writeSchema(`
    model Author {
      id    Int    @id @default(autoincrement())
      tags  String[]
      notes Note[]
    }
    model Note {
      id       Int     @id
      authorId Int?
      author   Author? @relation(fields: [authorId], references: [id], onDelete: SetNull)
    }`)
  await prisma("migrate dev --name init")
  writeMigration(
    "29990101000000_by_hand",
    `alter table "Note" add constraint note_id_positive check (id > 0);
     create unique index note_one_by_author on "Note" ("authorId") where id > 10;
     create table elsewhere.thing (a int generated always as identity, b "char", c int generated always as (1) stored);`.replace(
      /^/,
      "create schema elsewhere;\n",
    ),
  )
  expect(await prisma("migrate deploy")).toMatchObject({ code: 0 })
  expect((await prisma("migrate dev")).output).toContain("Already in sync")
})

test("migrate reset empties the database and applies all migrations again", async () => {
  await prisma("migrate dev --name init")
  await query(`insert into "Note" values (1, 'gone')`)
  expect(await prisma("migrate reset --force")).toMatchObject({ code: 0 })
  expect(await query(`select * from "Note"`)).toEqual([])
})

test("a migration that fails is P3018 and blocks the next deploy until it is resolved", async () => {
  await prisma("migrate dev --name init")
  writeMigration("29990101000000_broken", `alter table "Nowhere" add column x int;`)
  const failed = await prisma("migrate deploy")
  expect(failed).toMatchObject({ code: 1 })
  expect(failed.output).toContain("P3018")
  expect(failed.output).toContain(`relation "Nowhere" does not exist`)
  expect((await prisma("migrate deploy")).output).toContain("P3009")

  const resolve = "migrate resolve --rolled-back 29990101000000_broken"
  expect(await prisma(resolve)).toMatchObject({ code: 0 })
  writeMigration("29990101000000_broken", `alter table "Note" add column x int;`)
  expect(await prisma("migrate deploy")).toMatchObject({ code: 0 })
})

test("?schema= names where the tables go", async () => {
  await prisma("migrate dev --name init")
  await emptyDatabase()
  url += "?schema=side+room"
  expect(await prisma("migrate deploy")).toMatchObject({ code: 0 })
  expect(await prisma("migrate dev")).toMatchObject({ code: 0 })
  const tables = await query(
    `select schemaname, tablename from pg_tables where tablename in ('Note', '_prisma_migrations') order by 2`,
  )
  expect(tables).toEqual([
    { schemaname: "side room", tablename: "Note" },
    { schemaname: "side room", tablename: "_prisma_migrations" },
  ])
})

test("a server that is not there and a wrong password are told apart", async () => {
  await prisma("migrate dev --name init")
  const right = url
  url = right.replace(/:[^:@]+@/, ":wrong@")
  expect((await prisma("migrate deploy")).output).toContain("P1000")
  url = right.replace(/:\d+\//, ":1/")
  const unreachable = await prisma("migrate deploy")
  expect(unreachable.output).toContain("P1001")
  expect(unreachable.code).toBe(1)
})

function writeSchema(models: string): void {
  writeFileSync(
    join(project, "prisma/schema.prisma"),
    `datasource db {\n  provider = "postgresql"\n}\n${models}`,
  )
}

function writeMigration(name: string, sql: string): void {
  const directory = join(project, "prisma/migrations", name)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "migration.sql"), sql)
}

function migrations(): string[] {
  return readdirSync(join(project, "prisma/migrations")).filter((name) => /^\d/.test(name))
}

async function prisma(command: string): Promise<{ code: number | null; output: string }> {
  const cli = spawn(
    process.execPath,
    [join(ROOT, "node_modules/prisma/build/index.js"), ...command.split(" ")],
    {
      cwd: project,
      // Nothing else of this environment: the CLI refuses `reset` where it believes to see an AI agent.
      env: {
        NODE_ENV: "test",
        PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
        HOME: home,
        CHECKPOINT_DISABLE: "1",
        DATABASE_URL: url,
        PRISMA_SCHEMA_ENGINE_BINARY: join(ROOT, "dev/schema-engine.mjs"),
      },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000,
    },
  )
  const output = Promise.all([text(cli.stdout), text(cli.stderr)])
  const code = await new Promise<number | null>((resolve) => cli.once("close", resolve))
  return { code, output: (await output).join("\n") }
}

async function query(sql: string, at = url): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: at })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function emptyDatabase(): Promise<void> {
  await query(`drop database engine_${count} with (force)`, server.url)
}

async function columns(): Promise<unknown[]> {
  const rows = await query(
    `select column_name from information_schema.columns where table_name = 'Note' order by 1`,
  )
  return rows.map((row) => Object.values(row ?? {})[0])
}

async function shadowDatabases(): Promise<unknown[]> {
  return query("select datname from pg_database where datname like '%shadow%'", server.url)
}

import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as z from "zod"

const repository = fileURLToPath(new URL("..", import.meta.url))

/** A small tree that keeps every rule; the planted files below reach into it. */
const clean: Record<string, string> = {
  "party/protocol/room.ts": `import * as z from "zod"\nexport const hello = z.object({})\n`,
  "party/room/reduce.ts": `import { hello } from "#protocol/room"\nexport const reduce = () => hello\n`,
  "party/adapter/effects.ts": `import { reduce } from "../room/reduce.ts"\nimport { Server } from "partyserver"\nexport const run = () => [reduce, Server]\n`,
  "party/session.ts": `import { run } from "./adapter/effects.ts"\nexport const session = run\n`,
  "runner/src/outbox.ts": `import { hello } from "#protocol/room"\nexport const outbox = () => hello\n`,
  "server/db.ts": `import { PrismaClient } from "../prisma/generated/client.ts"\nexport const db = new PrismaClient()\nexport type Db = typeof db\n`,
  "server/jobs/queue.ts": `export const addJob = () => "wake"\n`,
  "server/jobs/wake.ts": `import { createSession } from "../domain/sessions/index.ts"\nexport const wake = () => createSession()\nexport type Wake = typeof wake\n`,
  "server/sandbox/provider.ts": `export type Provider = { name: string }\n`,
  "server/testing/database.ts": `import { startPostgres } from "../../dev/postgres.ts"\nexport const database = startPostgres\n`,
  "server/domain/sessions/create-session.ts": `import { addJob } from "../../jobs/queue.ts"\nimport type { Db } from "../../db.ts"\nexport const createSession = (db?: Db) => [addJob(), db]\n`,
  "server/domain/sessions/index.ts": `export { createSession } from "./create-session.ts"\n`,
  "server/domain/prompts/send-prompt.ts": `import { createSession } from "../sessions/index.ts"\nexport const sendPrompt = () => createSession()\n`,
  "server/domain/prompts/send-prompt.test.ts": `import { database } from "../../testing/database.ts"\nimport { startPostgres } from "../../../dev/postgres.ts"\nexport const promise = [database, startPostgres]\n`,
  "server/domain/prompts/index.ts": `export { sendPrompt } from "./send-prompt.ts"\n`,
  "server/trpc/routers/prompt.ts": `import { sendPrompt } from "../../domain/prompts/index.ts"\nexport const promptRouter = { send: sendPrompt }\n`,
  "server/trpc/caller.ts": `import { promptRouter } from "./routers/prompt.ts"\nexport const caller = promptRouter\n`,
  "app/page.tsx": `import { caller } from "../server/trpc/caller.ts"\nimport { view } from "./_features/session/view.tsx"\nexport const page = [caller, view]\n`,
  "app/_features/session/view.tsx": `import { button } from "../../_ui/button.tsx"\nimport type { Db } from "../../../server/db.ts"\nexport const view = (db?: Db) => [button, db]\n`,
  "app/_features/billing/plan.ts": `export const plan = "free"\n`,
  "app/_ui/button.tsx": `export const button = "button"\n`,
  "dev/postgres.ts": `export const startPostgres = () => 5432\n`,
  "prisma/generated/client.ts": `export class PrismaClient {}\n`,
}

/** Each rule by name, with the file that breaks it and nothing else. */
const planted: [rule: string, file: string, source: string][] = [
  ["no-cycles", "server/one.ts", `import { two } from "./two.ts"\nexport const one = () => two\n`],
  ["protocol-is-a-leaf", "party/protocol/bad.ts", `export { reduce } from "../room/reduce.ts"\n`],
  ["room-core-is-pure", "party/room/bad.ts", `export { readFileSync } from "node:fs"\n`],
  ["one-door-to-partyserver", "party/broker/bad.ts", `export { Server } from "partyserver"\n`],
  ["party-stands-alone", "party/adapter/bad.ts", `export { db } from "../../server/db.ts"\n`],
  ["runner-stands-alone", "runner/src/bad.ts", `export type { Db } from "../../server/db.ts"\n`],
  [
    "party-is-reached-by-protocol",
    "app/_features/session/bad-room.ts",
    `export { reduce } from "../../../party/room/reduce.ts"\n`,
  ],
  ["server-knows-no-ui", "server/bad-ui.ts", `export { button } from "../app/_ui/button.tsx"\n`],
  [
    "domain-knows-no-transport",
    "server/domain/sessions/bad-transport.ts",
    `export { NextResponse } from "next"\n`,
  ],
  [
    "domain-adds-jobs-by-the-queue",
    "server/domain/prompts/bad-job.ts",
    `export { wake } from "../../jobs/wake.ts"\n`,
  ],
  [
    "edges-know-no-domain",
    "server/sandbox/bad-domain.ts",
    `export { createSession } from "../domain/sessions/index.ts"\n`,
  ],
  ["routers-hold-no-queries", "server/trpc/routers/bad.ts", `export { db } from "../../db.ts"\n`],
  [
    "one-door-to-the-database",
    "server/domain/prompts/bad-client.ts",
    `export { PrismaClient } from "../../../prisma/generated/client.ts"\n`,
  ],
  [
    "domains-meet-at-the-index",
    "server/domain/prompts/bad-deep.ts",
    `export { createSession } from "../sessions/create-session.ts"\n`,
  ],
  [
    "browser-code-takes-server-types-only",
    "app/_features/session/bad-value.ts",
    `export { db } from "../../../server/db.ts"\n`,
  ],
  [
    "routes-enter-by-the-doors",
    "app/(workspace)/bad-page.ts",
    `export { sendPrompt } from "../../server/domain/prompts/index.ts"\n`,
  ],
  [
    "features-do-not-reach-sideways",
    "app/_features/session/bad-side.ts",
    `export { plan } from "../billing/plan.ts"\n`,
  ],
  [
    "ui-knows-no-feature",
    "app/_ui/bad.ts",
    `export { plan } from "../_features/billing/plan.ts"\n`,
  ],
  ["nothing-imports-the-app", "dev/bad-app.ts", `export { button } from "../app/_ui/button.tsx"\n`],
  [
    "stand-ins-stay-out-of-production",
    "server/bad-stand-in.ts",
    `export { startPostgres } from "../dev/postgres.ts"\n`,
  ],
  ["resolves", "dev/bad-path.ts", `export { gone } from "./gone.ts"\n`],
]

/** Type imports that the rules let through although the value import would be an error. */
const allowed: Record<string, string> = {
  "app/_features/session/type-only.ts": `import type { Db } from "../../../server/db.ts"\nexport type A = Db\n`,
  "server/sandbox/type-only.ts": `import type { createSession } from "../domain/sessions/index.ts"\nexport type A = typeof createSession\n`,
  "server/domain/timeline/type-only.ts": `import type { Wake } from "../../jobs/wake.ts"\nexport type A = Wake\n`,
  "server/domain/timeline/client-type.ts": `import type { PrismaClient } from "../../../prisma/generated/client.ts"\nexport type A = PrismaClient\n`,
}

const packages = ["zod", "next", "partyserver"]

const report = z.object({
  summary: z.object({
    totalCruised: z.number(),
    violations: z.array(z.object({ from: z.string(), rule: z.object({ name: z.string() }) })),
  }),
})

let tree: string

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), "import-rules-"))
  for (const file of [".dependency-cruiser.cjs", "package.json", "tsconfig.json"]) {
    cpSync(join(repository, file), join(tree, file))
  }
  for (const name of packages) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, main: "index.js" }))
    write(`node_modules/${name}/index.js`, "module.exports = {}\n")
  }
  for (const [file, source] of Object.entries({ ...clean, ...allowed })) write(file, source)
})

afterAll(() => rmSync(tree, { recursive: true, force: true }))

function write(file: string, source: string) {
  const path = join(tree, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, source)
}

/** Runs the real rules over the tree; answers `rule file` lines, sorted. */
function cruise(): string[] {
  const binary = join(repository, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs")
  const folders = ["app", "server", "party", "runner", "dev", "prisma"]
  const run = spawnSync(process.execPath, [binary, "--output-type", "json", ...folders], {
    cwd: tree,
    encoding: "utf8",
    timeout: 30_000,
  })
  if (run.stdout === "") throw new Error(`dependency-cruiser said nothing: ${run.stderr}`)
  const { summary } = report.parse(JSON.parse(run.stdout))
  expect(summary.totalCruised).toBeGreaterThan(Object.keys(clean).length)
  return summary.violations.map(({ from, rule }) => `${rule.name} ${from}`).sort()
}

test("the allowed imports pass, type-only ones among them", () => {
  expect(cruise()).toEqual([])
})

test("every rule is broken by its planted file, and reports that file alone", () => {
  for (const [, file, source] of planted) write(file, source)
  write("server/two.ts", `import { one } from "./one.ts"\nexport const two = () => one\n`)

  expect(cruise()).toEqual(planted.map(([rule, file]) => `${rule} ${file}`).sort())
})

test("no rule is without a planted file", async () => {
  const rules = z.object({ forbidden: z.array(z.object({ name: z.string() })) })
  const config: unknown = await import(join(repository, ".dependency-cruiser.cjs"))
  const { forbidden } = z.object({ default: rules }).parse(config).default

  expect([...new Set(planted.map(([rule]) => rule))].sort()).toEqual(
    forbidden.map(({ name }) => name).sort(),
  )
})

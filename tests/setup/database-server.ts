import { spawn } from "node:child_process"
import { once } from "node:events"
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { runMigrations } from "graphile-worker"
import pg from "pg"
import type { TestProject } from "vitest/node"
import { TEMPLATE } from "../../server/testing/database.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

type Server = { url: string; stop: () => Promise<void> }

/**
 * One PostgreSQL for a run of vitest, started when the first test file asks for a database at the socket. It ends
 * with this process, however that ends, because it holds the other end of its standard input.
 */
export default function setup(project: TestProject) {
  const home = mkdtempSync(join(tmpdir(), "agent-ops-tests-"))
  const socketPath = join(home, "database")
  let server: Promise<Server> | undefined
  const door = createServer((socket) => {
    server ??= startServer(join(home, "postgres"))
    server.then(
      ({ url }) => socket.end(JSON.stringify({ url })),
      (error: unknown) => socket.end(JSON.stringify({ error: String(error) })),
    )
    socket.on("error", () => socket.destroy())
  })
  door.listen(socketPath).unref()
  project.provide("testDatabaseSocket", socketPath)

  return async () => {
    door.close()
    await server?.then(
      ({ stop }) => stop(),
      () => undefined,
    )
    rmSync(home, { recursive: true, force: true })
  }
}

async function startServer(dataDir: string): Promise<Server> {
  const main = join(ROOT, "dev/postgres/main.ts")
  const launcher = spawn(process.execPath, [main, "--data", dataDir, "--throwaway"], {
    // A group of its own: whoever kills vitest's group still leaves the launcher to clean up.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  })
  const ended = once(launcher, "exit")
  const stop = async () => {
    launcher.stdin.end()
    await ended
  }
  for await (const line of createInterface({ input: launcher.stdout })) {
    const { url }: { url: string } = JSON.parse(line)
    await makeTemplate(url)
    return { url, stop }
  }
  throw new Error("The PostgreSQL for the tests did not start; its launcher said why above.")
}

/** The database that every test file gets a copy of. */
async function makeTemplate(serverUrl: string): Promise<void> {
  const url = serverUrl.replace(/[^/]*$/, TEMPLATE)
  await run(serverUrl, `create database ${TEMPLATE}`)
  for (const path of globSync("prisma/migrations/*/migration.sql", { cwd: ROOT }).sort()) {
    await run(url, readFileSync(join(ROOT, path), "utf8"))
  }
  await runMigrations({ connectionString: url })
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

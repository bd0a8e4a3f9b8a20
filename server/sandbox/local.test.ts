import { randomInt } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, afterEach, describe, expect, test, vi } from "vitest"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { sandboxDirectory } from "./local/directory.ts"
import { isAlive, readProcess, readProcesses } from "./local/process-table.ts"
import type { LocalOptions } from "./local/settings.ts"
import { assertPrograms, localProvider } from "./local.ts"
import { idOf, patient, providerContract, specOf } from "./provider.contract.ts"

const base = mkdtempSync(join(tmpdir(), "local-sandbox-"))

afterEach(() => vi.unstubAllEnvs())

/** Stands for the runner: starts a child for every way to get lost, says where it listens, and outlives SIGTERM. */
const UNRULY_RUNNER = `
import { spawn } from "node:child_process"
import { readFileSync, renameSync, writeFileSync } from "node:fs"
const { AGENT_OPS_SPEC, AGENT_OPS_STATE_DIR } = process.env
const { port } = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("up") })
const lasting = "sleep 86400." + JSON.parse(readFileSync(AGENT_OPS_SPEC, "utf8")).branch
const start = (script) => spawn("/bin/bash", ["-c", script], { stdio: "ignore" })
start(lasting)
start("setsid " + lasting + " & disown; exit")
start("cd / && env -i /usr/bin/setsid /bin/bash -c '(" + lasting + " &) ; exit' & disown; exit")
start("trap '' TERM INT HUP; cd / && env -i /bin/bash -c 'trap \\"\\" TERM INT HUP; " + lasting + "; :' & wait")
process.on("SIGTERM", () => undefined)
const told = AGENT_OPS_STATE_DIR + "/told.json"
writeFileSync(told + ".draft", JSON.stringify({ port, environment: process.env, cwd: process.cwd() }))
renameSync(told + ".draft", told)
`
const UNRULY_CHILDREN = 4

const runner = join(base, "runner.js")
writeFileSync(runner, UNRULY_RUNNER)

const options: LocalOptions = { home: join(base, "home"), runner, graceMs: 200 }
const provider = localProvider(options)

afterAll(async () => {
  for (const { id } of await provider.list()) await provider.terminate(id)
  rmSync(base, { recursive: true, force: true })
})

/** Pids whose command line contains `text`. */
function pidsWith(text: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(text) ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

const directoryOf = (spec: SandboxSpec) => sandboxDirectory(join(base, "home"), spec.sessionId)
const uniqueSpec = () => specOf({ branch: String(randomInt(1e9, 1e10)) })
const lasting = (spec: SandboxSpec) => `86400.${spec.branch}`

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("the condition did not come true within 10 s")
    await delay(10)
  }
}

type Told = { port: number; environment: Record<string, string>; cwd: string }

async function told(spec: SandboxSpec): Promise<Told> {
  const path = join(directoryOf(spec).state, "told.json")
  await until(() =>
    stat(path).then(
      () => true,
      () => false,
    ),
  )
  return JSON.parse(readFileSync(path, "utf8"))
}

async function upWithChildren(spec: SandboxSpec, by = provider): Promise<Told> {
  await by.create(spec, patient())
  const facts = await told(spec)
  await until(() => pidsWith(`sleep\0${lasting(spec)}`).length === UNRULY_CHILDREN)
  return facts
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true))
    socket.once("error", () => resolve(false))
    socket.once("close", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })
}

describe("contract", () => {
  providerContract(
    () => provider,
    // A runner leads its session; a fork of it that has not become its command yet does not.
    async (id) => {
      const runners = new Set(pidsWith(runner))
      return (await readProcesses()).filter(
        ({ pid, session, environment }) =>
          runners.has(pid) && pid === session && environment.includes(`AGENT_OPS_SANDBOX=${id}`),
      ).length
    },
  )
})

test("no process and no port is left, whatever its children did to get lost", async () => {
  const spec = uniqueSpec()
  const { port } = await upWithChildren(spec)
  expect(await isListening(port)).toBe(true)
  await provider.terminate(idOf(spec))
  expect(pidsWith(lasting(spec))).toEqual([])
  expect(await isListening(port)).toBe(false)
})

test("children are found after their runner died, and the sandbox counts as gone", async () => {
  const spec = uniqueSpec()
  await upWithChildren(spec)
  const handle = JSON.parse(readFileSync(directoryOf(spec).handle, "utf8"))
  process.kill(handle.leader.pid, "SIGKILL")
  await until(async () => (await provider.status(idOf(spec))) === "gone")
  expect((await provider.list()).map(({ id }) => id)).toContain(idOf(spec))
  await provider.terminate(idOf(spec))
  expect(pidsWith(lasting(spec))).toEqual([])
})

test("what ran when the platform stopped is told from what died before, also by the next process", async () => {
  const home = join(base, "stopped")
  const [ran, died] = [uniqueSpec(), uniqueSpec()]
  const before = localProvider({ ...options, home })
  for (const spec of [ran, died]) await before.create(spec, patient())
  const { leader } = JSON.parse(readFileSync(sandboxDirectory(home, died.sessionId).handle, "utf8"))
  process.kill(leader.pid, "SIGKILL")
  await until(async () => (await before.status(idOf(died))) === "gone")

  await before.stopAll()
  const after = localProvider({ ...options, home })
  expect(await after.list()).toEqual([])
  expect(await after.status(idOf(ran))).toBe("stopped")
  expect(await after.status(idOf(died))).toBe("gone")

  const next = { ...ran, generation: 2 }
  await after.create(next, patient())
  expect(await after.status(idOf(next))).toBe("running")
  expect(await after.status(idOf(ran))).toBe("gone")
  await after.stopAll()
  await after.terminate(idOf(next))
  expect(await after.status(idOf(next))).toBe("gone")
})

test("without the tag, marker, descent, session and directory find what they can", async () => {
  const untagged = localProvider({ ...options, prlimit: null })
  const spec = uniqueSpec()
  await upWithChildren(spec, untagged)
  // Not the one that cleared its environment and left its parent, its session and the directory.
  await untagged.terminate(idOf(spec))
  const left = pidsWith(lasting(spec))
  for (const pid of left) process.kill(pid, "SIGKILL")
  expect(left.length).toBe(1)
})

test("the runner's environment is built from nothing", async () => {
  vi.stubEnv("CANARY_SECRET", "canary-value")
  const spec = uniqueSpec()
  const { environment, cwd } = await upWithChildren(spec)
  const directory = directoryOf(spec)
  expect(Object.keys(environment).sort()).toEqual(
    [
      "AGENT_OPS_SANDBOX",
      "AGENT_OPS_SPEC",
      "AGENT_OPS_STATE_DIR",
      "HOME",
      "LANG",
      "OPENCODE_BIN",
      "PATH",
      "TMPDIR",
      "WORKSPACE_DIR",
    ].sort(),
  )
  expect(environment.HOME).toBe(directory.home)
  expect(cwd).toBe(directory.workspace)
  expect((await stat(directory.spec)).mode & 0o777).toBe(0o600)
  expect((await stat(directory.root)).mode & 0o777).toBe(0o700)
  await provider.terminate(idOf(spec))
})

test("two sandboxes at once share neither home nor port, and ending one leaves the other", async () => {
  const [one, other] = [uniqueSpec(), uniqueSpec()]
  const [first, second] = await Promise.all([upWithChildren(one), upWithChildren(other)])
  expect(first.port).not.toBe(second.port)
  expect(first.environment.HOME).not.toBe(second.environment.HOME)
  await provider.terminate(idOf(one))
  expect(pidsWith(`sleep\0${lasting(other)}`).length).toBe(UNRULY_CHILDREN)
  expect(await provider.status(idOf(other))).toBe("running")
  await provider.terminate(idOf(other))
})

test("the workspace and the runner's state survive generations and go with the session", async () => {
  const spec = uniqueSpec()
  await provider.create(spec, patient())
  const directory = directoryOf(spec)
  writeFileSync(join(directory.workspace, "kept"), "work")
  await provider.terminate(idOf(spec))
  await provider.create({ ...spec, generation: 2 }, patient())
  expect(readFileSync(join(directory.workspace, "kept"), "utf8")).toBe("work")
  expect(JSON.parse(readFileSync(directory.spec, "utf8")).generation).toBe(2)
  await provider.terminate(idOf({ ...spec, generation: 2 }))
  await provider.forget(spec.sessionId)
  await expect(stat(directory.root)).rejects.toMatchObject({ code: "ENOENT" })
})

test("strange files among the sandboxes hinder nothing", async () => {
  await provider.create(specOf(), patient())
  writeFileSync(join(base, "home/sandboxes/.DS_Store"), "")
  writeFileSync(join(base, "home/sandboxes/notes"), "")
  expect((await provider.list()).length).toBeGreaterThan(0)
  await expect(provider.forget("../elsewhere")).rejects.toThrow("no session's id")
})

test("a recycled pid is never killed: the start time must be the leader's", async () => {
  const spec = uniqueSpec()
  await provider.create(spec, patient())
  const { handle: path } = directoryOf(spec)
  const handle = JSON.parse(readFileSync(path, "utf8"))
  process.kill(handle.leader.pid, "SIGKILL")
  const self = await readProcess(process.pid)
  const recycled = { pid: process.pid, startedAt: `${handle.leader.startedAt}-earlier` }
  writeFileSync(path, JSON.stringify({ ...handle, leader: recycled }))
  expect(await provider.status(idOf(spec))).toBe("gone")
  await provider.terminate(idOf(spec))
  expect(await readProcess(process.pid)).toMatchObject({ startedAt: self?.startedAt })
})

test("[F10] a create whose provider was killed before it started anything is listed and swept", async () => {
  const spec = uniqueSpec()
  await provider.create(spec, patient())
  await provider.terminate(idOf(spec))
  const halfMade = {
    id: idOf(spec),
    nonce: "n",
    state: "creating",
    creator: { pid: process.pid, startedAt: "long ago" },
    leader: null,
    realtimeTag: null,
    createdAtMs: Date.now() - 90_000,
  }
  writeFileSync(directoryOf(spec).handle, JSON.stringify(halfMade))
  const listing = (await provider.list()).find(({ id }) => id === idOf(spec))
  expect(listing?.ageMs).toBeGreaterThanOrEqual(90_000)
  await provider.create(spec, patient())
  expect(await provider.status(idOf(spec))).toBe("running")
  await provider.terminate(idOf(spec))
  expect((await provider.list()).some(({ id }) => id === idOf(spec))).toBe(false)
})

test("[F10] processes whose handle was lost are listed by what they carry, and terminated", async () => {
  const spec = uniqueSpec()
  await provider.create(spec, patient())
  const { handle: path } = directoryOf(spec)
  const { leader } = JSON.parse(readFileSync(path, "utf8"))
  rmSync(path)
  expect((await provider.list()).map(({ id }) => id)).toContain(idOf(spec))
  await provider.terminate(idOf(spec))
  expect(await isAlive(leader)).toBe(false)
})

test("a runner that ends at once is an error with what it said", async () => {
  const broken = join(base, "broken.js")
  writeFileSync(broken, "console.error('the bundle is broken'); process.exit(3)")
  const spec = specOf()
  const failing = localProvider({ ...options, runner: broken })
  // It may be seen alive for an instant; then the check that follows a create finds it gone.
  await failing
    .create(spec, patient())
    .catch((error: unknown) => expect(error).toMatchObject({ reason: "sandbox-create-failed" }))
  await until(async () => (await failing.status(idOf(spec))) === "gone")
  await failing.terminate(idOf(spec))
})

test("an aborted create leaves nothing, at whatever instant it was aborted", async () => {
  for (let afterMs = 0; afterMs < 40; afterMs += 4) {
    const spec = specOf()
    const creation = provider.create(spec, { signal: AbortSignal.timeout(afterMs) })
    const made = await creation.then(
      () => true,
      () => false,
    )
    const listed = (await provider.list()).some(({ id }) => id === idOf(spec))
    expect({ afterMs, listed }).toEqual({ afterMs, listed: made })
    await provider.terminate(idOf(spec))
  }
})

describe("what a person can act on is named", () => {
  test("[F16] a full disk", async () => {
    const spec = specOf()
    await provider.create(spec, patient())
    await provider.terminate(idOf(spec))
    const { spec: path } = directoryOf(spec)
    symlinkSync("/dev/full", `${path}.draft`)
    await expect(provider.create(spec, patient())).rejects.toMatchObject({ reason: "disk-full" })
    expect((await provider.list()).some(({ id }) => id === idOf(spec))).toBe(false)
    rmSync(`${path}.draft`)
    await provider.create(spec, patient())
    await provider.terminate(idOf(spec))
  })

  test("[F16] a home that cannot be written to", async () => {
    const file = join(base, "file")
    writeFileSync(file, "")
    const nowhere = localProvider({ ...options, home: file })
    await expect(nowhere.create(specOf(), patient())).rejects.toMatchObject({
      reason: "home-not-writable",
    })
  })

  test("a missing bundle, a missing agent", async () => {
    const bare = { ...options, installDirectory: base, path: "" }
    const without = (over: Partial<LocalOptions>) =>
      localProvider({ ...bare, ...over }).create(specOf(), patient())
    await expect(without({ runner: join(base, "absent.js") })).rejects.toMatchObject({
      reason: "runner-missing",
    })
    await expect(without({})).rejects.toMatchObject({ reason: "bun-missing" })
    const absent = { opencode: "/absent/opencode" }
    await expect(without(absent)).rejects.toMatchObject({
      reason: "agent-missing",
      message: expect.stringContaining("OPENCODE_BIN names /absent/opencode"),
    })
    expect(() => assertPrograms(absent.opencode)).toThrow("OPENCODE_BIN")
    expect(() => assertPrograms(undefined)).not.toThrow()
  })
})

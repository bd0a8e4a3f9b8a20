import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { processesOf } from "../faults/processes.ts"
import { until } from "../faults/until.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted, TURN_WITHIN_MS } from "./session-driver.ts"
import { onSmallDisk, ownMounts, type SmallDisk, seenBy } from "./small-disk.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const INSTALLED_OPENCODE = join(ROOT, "node_modules/opencode-linux-x64/bin/opencode")
const PASSWORD = "hunter2canary"

let root: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "spine-start-"))
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("a stack that lacks something says which, why and what next, ends with 1 and leaves nothing", () => {
  let port: number
  let silent: Server
  const servers: Server[] = []

  beforeAll(async () => {
    port = await freePorts(4)
    silent = await listen(0)
  })

  afterAll(() => {
    for (const server of servers) server.close()
  })

  async function listen(at: number): Promise<Server> {
    const server = createServer((socket) => socket.on("error", () => undefined))
    server.listen(at, "127.0.0.1")
    await once(server, "listening")
    servers.push(server)
    return server
  }

  const portOf = (server: Server) => {
    const address = server.address()
    return address !== null && typeof address === "object" ? address.port : 0
  }

  /** `npm run stack` as a person types it. */
  async function start(env: Record<string, string>, home = join(root, "home")) {
    const stack = ["run", "stack", "--", "--home", home, "--port", String(port)]
    const child = spawn("npm", stack, {
      cwd: ROOT,
      detached: true,
      env: { PATH: process.env.PATH, HOME: root, NODE_ENV: "test", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    const [out, said, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ])
    return { out, said: said.replace(/^(npm warn|Building) .*\n/gm, "").trim(), code }
  }

  const url = (at: number) => `postgresql://me:${PASSWORD}@127.0.0.1:${at}/product`
  test.for<[string, () => Record<string, string>, RegExp]>([
    [
      "OpenCode",
      () => ({ OPENCODE_BIN: "/absent/opencode" }),
      /^OPENCODE_BIN names \/absent\/opencode, which is no program .* Correct it, or leave it out/,
    ],
    [
      "the database",
      () => ({ DATABASE_URL: url(9) }),
      /^DATABASE_URL names postgresql:\/\/me:…@127\.0\.0\.1:9\/product, which does not answer: .*ECONNREFUSED.* Start it or correct the URL/,
    ],
    [
      "an answer of the database",
      () => ({ DATABASE_URL: url(portOf(silent)) }),
      /^DATABASE_URL names .*, which does not answer: timeout/,
    ],
    ["a database's URL", () => ({ DATABASE_URL: "there" }), /^DATABASE_URL is not a .* Correct it/],
  ])("%s", async ([, env, sentence]) => {
    const { out, said, code } = await start(env())
    expect({ out, code }).toEqual({ out: "", code: 1 })
    expect(said).toMatch(sentence)
    expect(said.split("\n")).toHaveLength(1)
    expect(said).not.toContain(PASSWORD)
    expect(processesOf(join(root, "home"))).toEqual([])
  })

  test.for([
    ["web", 0],
    ["rooms", 1],
    ["PostgreSQL", 2],
    ["model", 3],
  ] as const)("the port of %s", async ([, offset]) => {
    const taken = await listen(port + offset)
    const { out, said, code } = await start({})
    taken.close()
    expect({ out, code }).toEqual({ out: "", code: 1 })
    expect(said).toMatch(new RegExp(`^Port ${port + offset}.* is taken.* choose another`))
    expect(said.split("\n")).toHaveLength(1)
    expect(processesOf(join(root, "home"))).toEqual([])
  })

  test("settings of the rooms", async () => {
    const env = { ANTHROPIC_API_KEY: PASSWORD, ANTHROPIC_BASE_URL: "nonsense" }
    const { out, said, code } = await start(env)
    expect({ out, code }).toEqual({ out: "", code: 1 })
    expect(said).toMatch(
      /^rooms ended before it was ready.*not usable; see \.env\.example.*Invalid URL.*ANTHROPIC_BASE_URL/s,
    )
    expect(said).not.toContain(PASSWORD)
    expect(processesOf(join(root, "home"))).toEqual([])
  })

  test("a directory for its home", async () => {
    writeFileSync(join(root, "file"), "")
    const { said, code } = await start({}, join(root, "file", "home"))
    expect(code).toBe(1)
    expect(said).toMatch(/^The home .*\/file\/home cannot be made .* Choose another --home .*\.$/)
  })
})

describe("a stack whose sandboxes lack something", () => {
  let stack: FaultStack
  let agent: string
  let repoUrl: string

  beforeAll(async () => {
    agent = join(root, "opencode")
    installAgent()
    const repository = new GitRepository(join(root, "project"))
    repository.write("README.md", "# Project\n")
    repository.commit()
    repoUrl = repository.url
    stack = await FaultStack.start({
      env: { OPENCODE_BIN: agent },
      behind: ownMounts(),
      // PostgreSQL refuses to run as a namespace's root.
      ownsPostgres: true,
    })
  }, 400_000)

  afterAll(async () => {
    await stack?.stop()
  })

  function writeAgent(script: string, mode = 0o755): void {
    writeFileSync(agent, `#!/bin/sh\n${script}\n`)
    chmodSync(agent, mode)
  }

  function installAgent(): void {
    writeAgent(`exec '${INSTALLED_OPENCODE}' "$@"`)
  }

  test.for<[string, () => void, RegExp]>([
    ["whose program is gone", () => rmSync(agent), /OPENCODE_BIN names .* Correct it/],
    [
      "that ends at once",
      () => writeAgent("echo 'cannot open shared object' >&2; exit 127"),
      /The agent did not start.*code 127.*cannot open shared object/s,
    ],
  ])("an agent %s: the session says so, and is woken once it is mended", async (wish) => {
    const [, breakIt, sentence] = wish
    breakIt()
    const session = await SessionDriver.create(stack, { repoUrl })
    const { statusReason } = await session.failed(1)
    expect(statusReason).toMatch(sentence)
    expect(statusReason).toMatch(/Wake the session or send a prompt to retry\.$/)
    expect(await session.prompts()).toMatchObject([{ state: "queued" }])
    installAgent()
    await session.wake()
    const first = await session.firstPromptId()
    expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
    await session.terminate()
  })

  test("rooms that do not answer: the session says so, and starts when they are back", async () => {
    const rooms = -stack.pid("rooms")
    signal(rooms, "SIGSTOP")
    try {
      const session = await SessionDriver.create(stack, { repoUrl })
      await until("the session to say so", BOOT_WITHIN_MS, async () => {
        const { status, statusReason } = await session.get()
        const says = "Waits for the rooms, which do not answer; an operator checks that they run."
        return status === "booting" && statusReason === says
      })
      expect(await session.prompts()).toMatchObject([{ state: "queued", error: null }])
      signal(rooms, "SIGCONT")
      const first = await session.firstPromptId()
      expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
      await session.terminate()
    } finally {
      signal(rooms, "SIGCONT")
    }
  })

  const onDisk = (size: string, work: (disk: SmallDisk) => Promise<void>) =>
    onSmallDisk({ pid: stack.keeper, directory: join(stack.home, "sandboxes"), size }, work)

  test("[F16] a full disk at their start: the session says so, and is woken once there is room", () =>
    onDisk("200m", async ({ fill, empty }) => {
      fill()
      const session = await SessionDriver.create(stack, { repoUrl })
      const { statusReason } = await session.failed(1)
      expect(statusReason).toMatch(/disk .* is full/)
      expect(await session.prompts()).toMatchObject([{ state: "queued" }])
      empty()
      await session.wake()
      const first = await session.firstPromptId()
      expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
      await session.terminate()
    }))

  test("[F16] a disk too small for the clone: the session says so, and is woken once there is room", () =>
    onDisk("8m", async ({ resize }) => {
      const large = new GitRepository(join(root, "large"))
      large.write("noise", randomBytes(10 * 1024 * 1024))
      large.commit()
      const session = await SessionDriver.create(stack, { repoUrl: large.url })
      const { statusReason } = await session.failed(1)
      expect(statusReason).toMatch(/does not fit on the sandbox's disk/)
      expect(statusReason).toContain(large.url)
      resize("200m")
      await session.wake()
      const first = await session.firstPromptId()
      expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
      await session.terminate()
    }))

  test("[F16] a disk that fills under an agent that then answers no more: the turn ends with the reason all the same", () =>
    onDisk("200m", async () => {
      const session = await SessionDriver.create(stack, { repoUrl })
      await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
      const promptId = await session.send(
        scripted({ say: "Before. " }, bash("cat /dev/zero > filler; sleep 600")),
      )
      await until("the disk to be full", TURN_WITHIN_MS, () => {
        const { bavail, bsize } = statfsSync(join(seenBy(stack.keeper), session.directory))
        return bavail * bsize < 64 * 1024
      })
      const server = session.processes().find(({ command }) => command.includes("opencode serve"))
      signal(server?.pid ?? 0, "SIGSTOP")
      const full = await session.ended(promptId, BOOT_WITHIN_MS)
      expect(full).toMatchObject({ state: "failed", error: { reason: "disk-full" } })
      rmSync(join(seenBy(stack.keeper), session.directory, "workspace/filler"))
      const next = await session.send(scripted({ say: "Room again." }))
      expect(await session.ended(next, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
      await session.terminate()
    }))

  test("[F16] a disk that fills in mid-turn: the turn ends with the reason, nothing is lost, the next prompt works", () =>
    onDisk("200m", async () => {
      const session = await SessionDriver.create(stack, { repoUrl })
      await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
      const promptId = await session.send(
        scripted({ say: "Before. " }, bash("cat /dev/zero > filler; ls -l filler"), {
          say: "And on. ",
          repeat: 2_000,
          everyMs: 10,
        }),
      )
      const full = await session.ended(promptId, BOOT_WITHIN_MS)
      expect(full).toMatchObject({ state: "failed", error: { reason: "disk-full" } })
      expect(full.error?.message).toMatch(/disk is full.*Remove large files/)
      rmSync(join(seenBy(stack.keeper), session.directory, "workspace/filler"))
      const next = await session.send(scripted({ say: "Room again." }))
      expect(await session.ended(next, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
      const texts = (await session.entries()).flatMap((entry) =>
        entry.kind === "text" ? [entry.text.trim()] : [],
      )
      expect(texts[0]).toBe("Ready.")
      expect(texts).toContain("Before.")
      expect(texts.at(-1)).toBe("Room again.")
      await session.terminate()
    }))
})

import { mkdtemp, rm, symlink } from "node:fs/promises"
import { type IncomingMessage, request, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest"
import { CLOSE } from "#protocol/close-code"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import type { Claim, OutboxItem, RunnerReport } from "#protocol/work"
import { type RunningModel, startModel } from "../../dev/model/server.ts"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { RoomStub } from "../../runner/src/testing/room-stub.ts"
import { bundleRunner, RunnerSandbox } from "./runner-sandbox.ts"

const oddName = '新 "q"\nשלום'
const bootMs = 60_000
const soon = { timeout: 20_000, interval: 20 }
const afterBoot = { timeout: bootMs, interval: 50 }

let base: string
let runner: string
let model: RunningModel

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "runner-test-"))
  runner = join(base, "runner.js")
  bundleRunner(runner)
  model = await startModel()
})

afterAll(async () => {
  await model.close()
  await rm(base, { recursive: true, force: true, maxRetries: 5 })
})

let room: RoomStub
let origin: GitRepository
let sandbox: RunnerSandbox

beforeEach(async () => {
  const root = await mkdtemp(join(base, "sandbox-"))
  room = await RoomStub.start(passToModel)
  origin = new GitRepository(join(root, "origin"))
  sandbox = new RunnerSandbox(root, runner)
})

afterEach(async (context) => {
  sandbox.destroy()
  await room.stop()
  if (context.task.result?.state === "fail") console.log(sandbox.log)
})

/** The broker's way to a model, without its checks. */
function passToModel(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const path = /^\/broker\/[^/]+(\/v1\/.*)$/.exec(incoming.url ?? "")?.[1]
  if (!path) {
    outgoing.writeHead(404).end()
    return
  }
  const { method, headers } = incoming
  const onward = request(new URL(path, model.url), { method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  onward.on("error", () => outgoing.destroy())
  outgoing.on("close", () => onward.destroy())
  incoming.pipe(onward)
}

function spec(overrides: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    sessionId: sessionIdSchema.parse("ses_0123456789abcdef"),
    generation: 1,
    roomsUrl: `http://127.0.0.1:${room.port}`,
    runnerToken: "runner-token",
    modelToken: "model-token",
    repoUrl: origin.url,
    branch: null,
    models: [
      {
        id: "demo/demo-model",
        name: "Demo model",
        wire: "chat-completions",
        contextTokens: 200_000,
        outputTokens: 8_000,
        reasoning: false,
        images: false,
      },
    ],
    deadlines: { cloneMs: 30_000, agentMs: bootMs, warmUpMs: bootMs },
    ...overrides,
  }
}

function claim(promptId: string, steps: object[], overrides: Partial<Claim> = {}): Claim {
  const id = promptIdSchema.parse(promptId)
  return {
    promptId: id,
    attempt: 1,
    generation: 1,
    turnId: id,
    text: `Do it.\n\n\`\`\`agent-script\n${JSON.stringify(steps)}\n\`\`\`\n`,
    author: { id: "usr_1", name: "Ada" },
    attachments: [],
    model: "demo/demo-model",
    agent: "build",
    deadlines: { acceptMs: 15_000, startMs: 60_000, silenceMs: 60_000, turnMs: 120_000 },
    ...overrides,
  }
}

const isReport = (item: OutboxItem): item is { report: RunnerReport } => "report" in item
const reports = () => room.items.filter(isReport).map(({ report }) => report)
const reportsOf = <Type extends RunnerReport["type"]>(type: Type) =>
  reports().filter(
    (report): report is Extract<RunnerReport, { type: Type }> => report.type === type,
  )
const entries = () => room.items.flatMap((item) => ("entry" in item ? [item.entry] : []))
const newest = () => [...new Map(entries().map((entry) => [entry.key, entry])).values()]
const textOf = (entry: DraftEntry) => (entry.kind === "text" ? entry.text : "")

async function booted(overrides: Partial<SandboxSpec> = {}) {
  sandbox.start(spec(overrides))
  await vi.waitFor(() => expect(reportsOf("boot.ready")).toHaveLength(1), afterBoot)
}

const ended = (count: number) =>
  vi.waitFor(() => expect(reportsOf("attempt.ended")).toHaveLength(count), afterBoot)

function phases() {
  return reportsOf("boot.phase").map(({ phase, state }) => `${phase} ${state}`)
}

describe("a boot", () => {
  test("tells its phases, then the base and its branch", async () => {
    origin.write("README.md", "# A project\n")
    const commit = origin.commit()

    await booted()

    expect(phases()).toEqual(
      expect.arrayContaining(
        ["clone", "agent", "warm-up"].flatMap((name) => [`${name} running`, `${name} done`]),
      ),
    )
    expect(reportsOf("boot.ready")).toEqual([
      { type: "boot.ready", generation: 1, baseCommit: commit, branch: "main" },
    ])
    expect(reports().at(-1)?.type).toBe("boot.ready")
  })

  test("of a repository with links, submodules, LFS pointers and odd names changes nothing in it", async () => {
    const library = new GitRepository(join(sandbox.root, "library"))
    library.commit()
    origin.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", library.url, "lib")
    origin.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    origin.write("large.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    origin.write(oddName, "one\r\ntwo\r\n")
    await symlink("/etc/passwd", join(origin.directory, "link"))
    const commit = origin.commit()

    await booted()
    for (const path of [oddName, "link", "large.bin"]) {
      room.send({ type: "ask", id: path, ask: { name: "file", path } })
    }
    room.send({ type: "ask", id: "diff", ask: { name: "diff" } })
    await vi.waitFor(() => expect(room.answers).toHaveLength(4), soon)

    const answers = Object.fromEntries(room.answers.map(({ id, result }) => [id, result]))
    expect(answers).toMatchObject({
      [oddName]: { ok: true, value: { text: "one\r\ntwo\r\n" } },
      link: { ok: false, error: { reason: "file-not-found" } },
      "large.bin": { ok: true, value: { text: expect.stringContaining("git-lfs") } },
      diff: { ok: true, value: { base: commit, files: [], truncated: false } },
    })
  })

  test("of an empty repository begins with the empty tree; the next generation finds the work that was done", async () => {
    await booted()
    expect(reportsOf("boot.ready")).toMatchObject([
      { baseCommit: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", branch: null },
    ])
    const input = { filePath: "$CWD/first", content: "one\n" }
    room.send({ type: "run", claim: claim("p1", [{ tool: "write", input }, { say: "Written." }]) })
    await ended(1)
    sandbox.signalSupervisor("SIGTERM")
    await sandbox.ended()

    sandbox.start(spec({ generation: 2 }))
    await vi.waitFor(() => expect(reportsOf("boot.ready")).toHaveLength(2), afterBoot)
    room.send({ type: "ask", id: "diff", ask: { name: "diff" } })
    await vi.waitFor(() => expect(room.answers).toHaveLength(1), soon)

    const [before, after] = reportsOf("boot.ready")
    expect(after).toEqual({ ...before, generation: 2 })
    expect(new Set(room.hellos.map(({ streamId }) => streamId)).size).toBe(2)
    expect(room.hellos.at(-1)).toMatchObject({ generation: 2, attempt: null })
    expect(room.answers[0]?.result).toMatchObject({
      ok: true,
      value: { files: [{ path: "first", status: "added", additions: 1 }] },
    })
  })

  test.each([
    [
      "a repository that is not there",
      () => spec({ repoUrl: `${origin.url}-nope` }),
      "repository-not-found",
    ],
    ["a branch that is not there", () => spec({ branch: "nope" }), "branch-not-found"],
    [
      "an address of another kind",
      () => spec({ repoUrl: "ssh://host/x" }),
      "repository-not-supported",
    ],
    [
      "a deadline too short",
      () => spec({ deadlines: { cloneMs: 1, agentMs: 1, warmUpMs: 1 } }),
      "clone-too-slow",
    ],
  ])(
    "with %s fails, says why, and ends for good once that is delivered",
    async (_, wanted, reason) => {
      origin.commit()

      sandbox.start(wanted())

      expect(await sandbox.ended()).toBe(3)
      expect(reportsOf("boot.phase").at(-1)).toMatchObject({ state: "failed", error: { reason } })
      expect(sandbox.commands()).toEqual([])
    },
  )

  test("that failed while the room is away waits to be heard", async () => {
    room.alive = false
    sandbox.start(spec({ repoUrl: `${origin.url}-nope` }))
    await vi.waitFor(() => expect(sandbox.log).toContain("the boot failed"), soon)

    room.alive = true
    room.drop()

    expect(await sandbox.ended()).toBe(3)
    expect(reportsOf("boot.phase").at(-1)).toMatchObject({ state: "failed" })
  })

  test("without a complete environment is not tried again", async () => {
    sandbox.start({ ...spec(), generation: 0 })

    expect(await sandbox.ended()).toBe(2)
    expect(sandbox.log).toContain("generation")
  })
})

describe("a prompt", () => {
  beforeEach(async () => {
    origin.write("README.md", "# A project\n")
    origin.commit()
    await booted()
  })

  test("is worked on; what it wrote, changed and read can be asked for", async () => {
    const input = { filePath: "$CWD/新 notes.md", content: "one\ntwo\n" }
    room.send({
      type: "run",
      claim: claim("p1", [{ say: "I write." }, { tool: "write", input }, { say: "Written." }]),
    })
    await ended(1)

    expect(reports().filter(({ type }) => type.startsWith("attempt."))).toMatchObject([
      { type: "attempt.accepted", promptId: "p1" },
      { type: "attempt.running", promptId: "p1" },
      { type: "attempt.ended", promptId: "p1", state: "succeeded", error: null },
    ])
    expect(newest().map(textOf).join(" ")).toContain("Written.")
    expect(newest()).toContainEqual(
      expect.objectContaining({ kind: "tool", name: "write", state: "completed" }),
    )
    expect(newest()).toContainEqual(
      expect.objectContaining({
        key: "changes:p1",
        files: [expect.objectContaining({ path: "新 notes.md", status: "added", additions: 2 })],
      }),
    )

    room.send({ type: "ask", id: "d", ask: { name: "diff" } })
    room.send({ type: "ask", id: "f", ask: { name: "file", path: "新 notes.md" } })
    room.send({ type: "ask", id: "x", ask: { name: "file", path: "../spec.json" } })
    await vi.waitFor(() => expect(room.answers).toHaveLength(3), soon)
    const answers = new Map(room.answers.map(({ id, result }) => [id, result]))
    expect(answers.get("d")).toMatchObject({
      ok: true,
      value: { files: [{ path: "新 notes.md" }] },
    })
    expect(answers.get("f")).toMatchObject({ ok: true, value: { text: "one\ntwo\n" } })
    expect(answers.get("x")).toMatchObject({ ok: false, error: { reason: "file-not-found" } })
  })

  test("streams its text after the entry that opens it, and ends with all of it", async () => {
    room.send({ type: "run", claim: claim("p1", [{ say: "word ", repeat: 300, everyMs: 5 }]) })
    await ended(1)

    const whole = "word ".repeat(300)
    const text = newest().find((entry) => entry.kind === "text")
    expect(text).toMatchObject({ text: whole, done: true })
    let shown = ""
    let opened = false
    for (const piece of room.arrived) {
      if (Array.isArray(piece)) {
        const [, offset, grown] = piece
        expect(opened && offset <= shown.length, "a piece came too early").toBe(true)
        shown = shown.slice(0, offset) + grown
      } else if ("entry" in piece && piece.entry.kind === "text" && !piece.entry.done) {
        shown = piece.entry.text.length > shown.length ? piece.entry.text : shown
        opened = true
      }
    }
    expect(shown).toBe(whole)
  })

  test("survives a room that is away: nothing is lost, nothing comes twice", async () => {
    room.send({ type: "run", claim: claim("p1", [{ say: "word ", repeat: 400, everyMs: 10 }]) })
    for (let n = 1; n <= 3; n++) {
      await vi.waitFor(() => expect(room.connected).toBe(true), soon)
      room.drop()
    }
    await ended(1)

    expect(newest().find((entry) => entry.kind === "text")).toMatchObject({
      text: "word ".repeat(400),
      done: true,
    })
    expect(reportsOf("attempt.ended")).toMatchObject([{ state: "succeeded" }])
  })

  test("outlives a network that swallows everything, which is noticed within 10 s", async () => {
    room.send({ type: "run", claim: claim("p1", [{ say: "word ", repeat: 200, everyMs: 10 }]) })
    await vi.waitFor(() => expect(reportsOf("attempt.running")).toHaveLength(1), soon)
    const connections = room.requests.length

    const since = performance.now()
    room.alive = false
    await vi.waitFor(() => expect(room.requests.length).toBeGreaterThan(connections), soon)
    expect(performance.now() - since).toBeLessThan(10_000)
    room.alive = true

    await ended(1)
    expect(newest().find((entry) => entry.kind === "text")).toMatchObject({
      text: "word ".repeat(200),
      done: true,
    })
  })

  test("[D6] ends once, interrupted, when the runner is killed; what was written is kept; the next one works", async () => {
    room.send({ type: "run", claim: claim("p1", [{ say: "word ", repeat: 2_000, everyMs: 10 }]) })
    await vi.waitFor(() => expect(room.arrived.some(Array.isArray)).toBe(true), soon)
    await vi.waitFor(() => expect(newest().map(textOf).join("").length).toBeGreaterThan(500), soon)
    const kept = newest().map(textOf).join("")
    const pid = sandbox.runnerPid()
    expect(pid).toBeDefined()

    process.kill(pid ?? 0, "SIGKILL")
    await ended(1)

    expect(reportsOf("attempt.ended")).toMatchObject([{ promptId: "p1", state: "interrupted" }])
    expect(newest().map(textOf).join("")).toContain(kept)
    expect(new Set(room.hellos.map(({ streamId }) => streamId)).size).toBe(1)
    expect(room.hellos.at(-1)?.attempt).toMatchObject({ promptId: "p1" })
    expect(reportsOf("boot.ready")).toHaveLength(1)
    expect(sandbox.commands().filter((command) => command.includes("opencode serve"))).toHaveLength(
      1,
    )

    room.send({ type: "run", claim: claim("p2", [{ say: "Again." }]) })
    await ended(2)
    expect(reportsOf("attempt.ended")[1]).toMatchObject({ promptId: "p2", state: "succeeded" })
  })

  test("that runs a command is left with nothing running when the sandbox is told to stop", async () => {
    const input = { command: "sleep 600", description: "waits" }
    room.send({ type: "run", claim: claim("p1", [{ tool: "bash", input }]) })
    await vi.waitFor(() => expect(sandbox.commands().join()).toContain("sleep 600"), soon)

    const since = performance.now()
    sandbox.signalSupervisor("SIGTERM")

    expect(await sandbox.ended()).toBe(0)
    expect(performance.now() - since).toBeLessThan(6_000)
    expect(sandbox.commands()).toEqual([])
  })
})

describe("the end", () => {
  test.each([CLOSE.superseded, CLOSE.ended])("comes when the room closes with %i", async (code) => {
    room.refuseWith = code
    sandbox.start(spec())

    expect(await sandbox.ended()).toBe(0)
    expect(sandbox.commands()).toEqual([])
  })

  test("comes within 5 s of SIGTERM, mid-boot too, and leaves nothing running", async () => {
    origin.commit()
    sandbox.start(spec())
    await vi.waitFor(() => expect(phases()).toContain("agent running"), afterBoot)

    const since = performance.now()
    sandbox.signalSupervisor("SIGTERM")

    expect(await sandbox.ended()).toBe(0)
    expect(performance.now() - since).toBeLessThan(6_000)
    expect(sandbox.commands()).toEqual([])
  })

  test("comes to the runner when its supervisor is killed", async () => {
    origin.commit()
    await booted()

    sandbox.signalSupervisor("SIGKILL")

    await vi.waitFor(() => expect(sandbox.commands()).toEqual([]), soon)
  })
})

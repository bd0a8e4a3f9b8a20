import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { until } from "../faults/until.ts"
import { GitServer } from "./git-server.ts"
import { LFS_POINTER, makeHugeHistory, makeOddRepository, ODD_NAMES } from "./odd-repositories.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted, TURN_WITHIN_MS } from "./session-driver.ts"

const CLONE_DEADLINE_SECONDS = 30

/** What is wrong with what, and what to do. */
const SENTENCE = /^([A-Z“].* )?(Use|Name|Leave) .*\.$/s

let root: string
let server: GitServer
let stack: FaultStack

const at = (...names: string[]) => join(root, ...names)
const fileUrl = (name: string) => pathToFileURL(at(name)).href

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "bad-repositories-"))
  server = await GitServer.start(root)
  stack = await FaultStack.start({
    env: { SANDBOX_CLONE_DEADLINE_SECONDS: String(CLONE_DEADLINE_SECONDS) },
  })
}, 300_000)

afterAll(async () => {
  await stack?.stop()
  server?.close()
  if (root) rmSync(root, { recursive: true, force: true })
})

function plainRepository(name: string): GitRepository {
  const repository = new GitRepository(at(name))
  repository.write("README.md", "# Plain\n")
  repository.commit()
  return repository
}

describe.concurrent("a repository", () => {
  beforeAll(() => {
    plainRepository("plain")
    plainRepository("private")
    const headless = plainRepository("headless")
    headless.git("branch", "other")
    headless.git("symbolic-ref", "HEAD", "refs/heads/absent")
    server.private.add("private")
  })

  const late = `took longer than ${CLONE_DEADLINE_SECONDS} s`
  test.for<[string, () => { repoUrl: string; branch?: string }, string[]]>([
    ["that is missing", () => ({ repoUrl: fileUrl("absent") }), ["absent", "no Git repository"]],
    ["that the host has not", () => ({ repoUrl: server.url("absent") }), ["no Git repository"]],
    ["that is private", () => ({ repoUrl: server.url("private") }), ["private", "sign-in"]],
    [
      "without the branch",
      () => ({ repoUrl: fileUrl("plain"), branch: "no/such" }),
      ["plain", "no branch or tag “no/such”"],
    ],
    [
      "whose default branch is missing",
      () => ({ repoUrl: fileUrl("headless") }),
      ["headless", "no default branch", "“main”, “other”"],
    ],
    [
      "whose host is down",
      () => ({ repoUrl: "http://127.0.0.1:9/a/b" }),
      ["http://127.0.0.1:9/a/b", "could not be reached"],
    ],
    ["that is a web page", () => ({ repoUrl: server.url("broken") }), ["no Git repository"]],
    ["whose host is silent", () => ({ repoUrl: server.url("silent") }), ["/silent", late]],
  ])("%s: the session says which, why and what next, and keeps its prompt", async (wish) => {
    const [, source, words] = wish
    const session = await SessionDriver.create(stack, source())
    const { statusReason } = await session.failed(1)
    for (const word of words) expect(statusReason).toContain(word)
    expect(statusReason).toMatch(/Wake the session or send a prompt to retry\.$/)
    expect(await session.prompts()).toMatchObject([{ state: "queued", error: null, attempt: 0 }])
    await session.terminate()
  })

  test("that stays missing says so at each try, and each failure is in the timeline", async () => {
    const session = await SessionDriver.create(stack, { repoUrl: fileUrl("absent") })
    const { statusReason } = await session.failed(1)
    await session.wake()
    expect(await session.failed(2)).toMatchObject({ statusReason })
    await session.send("One more.")
    expect(await session.failed(3)).toMatchObject({ statusReason })
    expect(await session.prompts()).toMatchObject([{ state: "queued" }, { state: "queued" }])
    await until("three failures in the timeline", TURN_WITHIN_MS, async () => {
      const entries = await session.entries()
      const failures = entries.filter(
        (entry) => entry.kind === "status" && entry.status === "failed",
      )
      return failures.length === 3
    })
    await session.terminate()
  })

  test("that appears later is cloned when the session is woken, and its prompt runs", async () => {
    const session = await SessionDriver.create(stack, { repoUrl: fileUrl("later") })
    await session.failed(1)
    const commit = plainRepository("later").git("rev-parse", "HEAD").trim()
    await session.wake()
    expect(await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)).toMatchObject({
      state: "succeeded",
      attempt: 1,
    })
    expect(await session.has("idle")).toMatchObject({ baseCommit: commit, branch: "main" })
    await session.terminate()
  })

  test("that was private and is opened is cloned for the next prompt, and both run in their order", async () => {
    plainRepository("opened")
    server.private.add("opened")
    const session = await SessionDriver.create(stack, { repoUrl: server.url("opened/.git") })
    await session.failed(1)
    server.private.delete("opened")
    const second = await session.send(scripted({ say: "Second." }))
    expect(await session.ended(second, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
    const texts = (await session.entries()).flatMap((entry) =>
      entry.kind === "text" ? [entry.text] : [],
    )
    expect(texts).toEqual(["Ready.", "Second."])
    await session.terminate()
  })

  test("that is empty is worked in, and everything in it is a change", async () => {
    mkdirSync(at("empty"))
    new GitRepository(at("empty"))
    const prompt = scripted(bash("echo first > first.txt; git log 2>&1"), { say: "Begun." })
    const session = await SessionDriver.create(stack, { repoUrl: fileUrl("empty"), prompt })
    expect(await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)).toMatchObject({
      state: "succeeded",
    })
    expect((await session.diff()).files).toMatchObject([{ path: "first.txt", status: "added" }])
    await session.terminate()
  })

  test("whose HEAD is a commit is worked in from there, and the session names no branch", async () => {
    const repository = plainRepository("detached")
    const baseCommit = repository.git("rev-parse", "HEAD").trim()
    repository.commit("later")
    repository.git("checkout", "--quiet", baseCommit)
    const session = await SessionDriver.create(stack, { repoUrl: repository.url })
    await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
    expect(await session.get()).toMatchObject({ baseCommit, branch: null })
    await session.terminate()
  })

  test("of 20,000 commits comes over HTTP as a whole, within the deadline", async () => {
    makeHugeHistory(at("huge.git"), 20_000)
    const prompt = scripted(bash("git rev-list --count HEAD; git fsck --connectivity-only"), {
      say: "Counted.",
    })
    const session = await SessionDriver.create(stack, { repoUrl: server.url("huge.git"), prompt })
    const first = await session.firstPromptId()
    expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
    expect((await session.outputs(first)).join("")).toMatch(/^20000\n/)
    const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
    const clone = sandbox?.phases.find(({ phase }) => phase === "clone")
    expect(clone).toMatchObject({ state: "done", detail: "" })
    await session.terminate()
  })

  test("of odd names, line ends, links, submodules and LFS pointers arrives, changes and is shown as it is", async () => {
    const origin = makeOddRepository(at("odd 新 ‘repo’"), at("library"))
    const prompt = scripted(
      bash(
        [
          "git status --porcelain",
          "for f in *.txt *.md; do printf 'y\\n' >> \"$f\"; done",
          "printf 'three\\r\\n' >> crlf.txt",
          "rm link && ln -s -- -dash link",
          "printf 'new\\n' > 'añadido ✨.txt'",
        ].join("\n"),
      ),
      { tool: "read", input: { filePath: "$CWD/新しい.md" } },
      { tool: "write", input: { filePath: '$CWD/שלום/写 "it".txt', content: "written\n" } },
      { say: "Done with oddities." },
    )
    const session = await SessionDriver.create(stack, { repoUrl: origin.url, prompt })
    const first = await session.firstPromptId()
    expect(await session.ended(first, BOOT_WITHIN_MS)).toMatchObject({ state: "succeeded" })
    const [status = ""] = await session.outputs(first)
    expect(status).not.toMatch(/^ ?[MADRU?]/m)

    const workspace = join(session.directory, "workspace")
    expect(readFileSync(join(workspace, "large.bin"), "utf8")).toBe(LFS_POINTER)
    expect(existsSync(join(workspace, "library/a"))).toBe(false)

    const { files, truncated } = await session.diff()
    expect(truncated).toBe(false)
    const changed = new Map(files.map(({ path, ...file }) => [path, file]))
    const touched = ODD_NAMES.filter((name) => /^[^/]*\.(txt|md)$/.test(name))
    expect([...changed.keys()].sort()).toEqual(
      [...touched, "crlf.txt", "latin1.txt", "link", "añadido ✨.txt", 'שלום/写 "it".txt'].sort(),
    )
    expect(changed.get("crlf.txt")?.patch).toContain("+three\r\n")
    expect(changed.get("link")?.patch).toContain("+-dash")

    const file = (path: string) => stack.api.changes.file.query({ sessionId: session.id, path })
    for (const path of ODD_NAMES) expect(await file(path)).toMatchObject({ path, binary: false })
    expect(await file("binary")).toMatchObject({ binary: true, text: "" })
    for (const path of ["escape", "loop", "dangling", ".git/config"]) {
      await expect(file(path)).rejects.toMatchObject({ data: { reason: "file-not-found" } })
    }
    await session.terminate()
  })
})

describe("an address that git must not see is refused at the edge, and no session is made", () => {
  test.for([
    ["ssh://host/x", "repository-scheme-not-allowed"],
    ["git@host:x", "repository-url-invalid"],
    ["ext::sh -c touch% /tmp/pwned", "repository-url-invalid"],
    ["ext::touch%20/tmp/pwned", "repository-scheme-not-allowed"],
    ["--upload-pack=touch /tmp/pwned", "repository-url-invalid"],
    ["-oProxyCommand=x", "repository-url-invalid"],
    ["/etc", "repository-url-invalid"],
    ["file://host/share", "repository-scheme-not-allowed"],
    ["http://example.com/x", "repository-scheme-not-allowed"],
    ["https://me:secret@example.com/x", "repository-credentials-in-url"],
    ["https://-oProxyCommand=x/y", "repository-url-invalid"],
    ["", "repository-required"],
  ])("%j", async ([repoUrl = "", reason]) => {
    const count = async () => (await stack.api.session.list.query({ limit: 100 })).items.length
    const before = await count()
    const refused = stack.api.session.create.mutate({ repoUrl, prompt: "Hi" })
    await expect(refused).rejects.toMatchObject({ data: { code: "BAD_REQUEST", reason } })
    await expect(refused).rejects.toThrow(SENTENCE)
    await expect(refused).rejects.not.toThrow(/secret/)
    expect(await count()).toBe(before)
  })

  test.for(["--upload-pack=x", "a..b", "a b", "a\u0000b", "", "refs/heads/x.lock"])(
    "a branch named %j too",
    async (branch) => {
      const refused = stack.api.session.create.mutate({
        repoUrl: fileUrl("plain"),
        branch,
        prompt: "Hi",
      })
      await expect(refused).rejects.toMatchObject({ data: { reason: "branch-name-invalid" } })
      await expect(refused).rejects.toThrow(SENTENCE)
    },
  )
})

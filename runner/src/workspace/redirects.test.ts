import { once } from "node:events"
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises"
import { createServer as createHttp, type RequestListener, type Server } from "node:http"
import { createServer as createHttps } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { GitRepository } from "../testing/git-repository.ts"
import { selfSigned } from "../testing/self-signed.ts"
import { prepareCheckout } from "./clone.ts"

let home: string
let origin: GitRepository
let commit: string
/** What was asked for, over both schemes. */
let asked: string[]
const servers: Server[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "redirects-"))
  await mkdir(join(home, "state"))
  origin = new GitRepository(join(home, "origin"))
  origin.write("a", "a\n")
  commit = origin.commit()
  origin.git("update-server-info")
  asked = []
})

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
  await rm(home, { recursive: true, force: true })
})

const clone = (repoUrl: string) =>
  prepareCheckout({
    repoUrl,
    branch: null,
    sessionId: "ses_0123456789abcdefgh",
    directory: join(home, "workspace"),
    stateDirectory: join(home, "state"),
    environment: { PATH: process.env.PATH, HOME: home, GIT_SSL_NO_VERIFY: "1" },
    signal: AbortSignal.timeout(20_000),
    onProgress: () => undefined,
  })

async function listen(server: Server, scheme: string): Promise<string> {
  servers.push(server)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return `${scheme}://127.0.0.1:${address.port}`
}

/** Serves the repository's own files as `/new`, and says that every other one has moved to where `target` says. */
const serving =
  (scheme: string, target: (path: string) => string): RequestListener =>
  async ({ url = "/" }, response) => {
    asked.push(`${scheme} ${url}`)
    const path = url.split("?")[0] ?? ""
    if (!path.startsWith("/new/")) {
      response.writeHead(301, { location: target(url) }).end()
      return
    }
    const file = join(origin.directory, ".git", path.slice("/new/".length))
    const content = await readFile(file).catch(() => null)
    response.writeHead(content ? 200 : 404).end(content ?? "")
  }

const http = (target: (path: string) => string) =>
  listen(createHttp(serving("http", target)), "http")
const https = (target: (path: string) => string) =>
  listen(createHttps(selfSigned(), serving("https", target)), "https")

const renamed = (path: string) => path.replace("/old/", "/new/")
const asFile = () => `${origin.url}/.git/info/refs`

test.each([
  ["http", http],
  ["https", https],
])("a repository that was renamed is cloned from its new address, over %s", async (_, serve) => {
  const url = await serve(renamed)
  expect(await clone(`${url}/old`)).toMatchObject({ baseCommit: commit })
})

test("an address that moved from http to https is followed", async () => {
  const secure = await https(renamed)
  const plain = await http((path) => secure + renamed(path))
  expect(await clone(`${plain}/old`)).toMatchObject({ baseCommit: commit })
  expect(asked[0]).toMatch(/^http \/old/)
})

test("an https address never leads to plain http", async () => {
  const plain = await http(renamed)
  const secure = await https((path) => plain + renamed(path))
  await expect(clone(`${secure}/old`)).rejects.toMatchObject({ reason: "repository-redirected" })
  expect(asked.filter((request) => request.startsWith("http "))).toEqual([])
})

test.each([
  ["http", http],
  ["https", https],
])("an address never leads to a file of the sandbox, over %s", async (_, serve) => {
  const url = await serve(asFile)
  await expect(clone(`${url}/old`)).rejects.toMatchObject({ reason: "repository-redirected" })
})

test("a repository whose later requests are sent elsewhere is not followed", async () => {
  const elsewhere = await http(renamed)
  const url = await listen(
    createHttp(async (request, response) => {
      if (request.url?.startsWith("/old/info/refs")) {
        response.end(await readFile(join(origin.directory, ".git/info/refs")))
      } else response.writeHead(302, { location: `${elsewhere}/new/HEAD` }).end()
    }),
    "http",
  )
  await expect(clone(`${url}/old`)).rejects.toThrow()
  expect(asked).toEqual([])
})

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { checkTests } from "./check-tests.ts"
import { FIX } from "./prompt.ts"
import { git, makeRepository } from "./repository.ts"

let root: string
let repository: string
let sandbox: string

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "agent-ops-check-"))
  repository = join(root, "repository")
  sandbox = join(root, "sandbox")
  mkdirSync(repository)
  mkdirSync(sandbox)
  await makeRepository(repository)
  await git(sandbox, "clone", "--quiet", repository, "workspace")
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

const workspace = (path: string) => join(sandbox, "workspace", path)

async function verdict() {
  const { before, after } = await checkTests(repository, sandbox)
  expect(before).toMatchObject({ passed: false, count: 3 })
  return { passed: after.passed, count: after.count }
}

function change(path: string, from: string, to: string): void {
  const text = readFileSync(workspace(path), "utf8")
  expect(text).toContain(from)
  writeFileSync(
    workspace(path),
    text.replace(from, () => to),
  )
}

test("a mended repository passes, one as it was does not", async () => {
  expect(await verdict()).toEqual({ passed: false, count: 3 })
  change("src/slug.js", FIX.from, FIX.to)
  expect(await verdict()).toEqual({ passed: true, count: 3 })
})

test("deleted, emptied or rewritten tests gain nothing, also when committed", async () => {
  rmSync(workspace("test"), { recursive: true })
  expect(await verdict()).toMatchObject({ passed: false })
  mkdirSync(workspace("test"))
  writeFileSync(workspace("test/slug.test.js"), "")
  expect(await verdict()).toMatchObject({ passed: false })
  await git(join(sandbox, "workspace"), "commit", "--quiet", "--all", "--message", "No tests")
  expect(await verdict()).toMatchObject({ passed: false })
})

test("code that ends the tests before they run gains nothing", async () => {
  change("src/slug.js", FIX.from, "  return title")
  writeFileSync(
    workspace("src/slug.js"),
    `process.exit(0)\n${readFileSync(workspace("src/slug.js"))}`,
  )
  expect(await verdict()).toMatchObject({ passed: false })
})

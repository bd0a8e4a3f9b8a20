import { execFile } from "node:child_process"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const COMMAND_DEADLINE_MS = 60_000

/** What runs the repository's tests, in the harness and in the agent's hands alike. */
export const TEST_COMMAND = ["node", "--test"] as const

const FILES: Record<string, string> = {
  "README.md":
    "# slugs\n\nTurns titles into the last part of a URL.\n\nRun the tests with `node --test`.\n",
  "package.json": `${JSON.stringify({ name: "slugs", type: "module", scripts: { test: "node --test" } }, null, 2)}\n`,
  "src/slug.js": [
    "/** The last part of a URL for a title: lower case, words joined by one dash. */",
    "export function slug(title) {",
    '  return title.toLowerCase().replace(" ", "-")',
    "}",
    "",
  ].join("\n"),
  "test/slug.test.js": [
    'import assert from "node:assert/strict"',
    'import { test } from "node:test"',
    'import { slug } from "../src/slug.js"',
    "",
    'test("one word stays one word", () => {',
    '  assert.equal(slug("Hello"), "hello")',
    "})",
    "",
    'test("every space becomes a dash", () => {',
    '  assert.equal(slug("Close the laptop"), "close-the-laptop")',
    "})",
    "",
    'test("other characters do not reach the URL", () => {',
    '  assert.equal(slug("What, why & how?"), "what-why-how")',
    "})",
    "",
  ].join("\n"),
}

/** A small real repository whose tests fail. Returns its file:// address. */
export async function makeRepository(dir: string): Promise<string> {
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text)
  }
  await git(dir, "init", "--quiet", "--initial-branch=main")
  await git(dir, "add", "--all")
  await git(dir, "commit", "--quiet", "--message", "Slugs for titles")
  return `file://${dir}`
}

export async function git(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run("git", args, {
    cwd,
    timeout: COMMAND_DEADLINE_MS,
    env: {
      NODE_ENV: "test",
      PATH: process.env.PATH,
      HOME: cwd,
      GIT_AUTHOR_NAME: "Demo",
      GIT_AUTHOR_EMAIL: "demo@example.invalid",
      GIT_COMMITTER_NAME: "Demo",
      GIT_COMMITTER_EMAIL: "demo@example.invalid",
    },
  })
  return stdout
}

/** `count` is how many tests ran, passed or not. */
export type TestRun = { passed: boolean; count: number; output: string }

/** Runs the repository's own tests in a directory. */
export async function runTests(cwd: string): Promise<TestRun> {
  const [command, ...args] = TEST_COMMAND
  const ran = (passed: boolean, output: string) => {
    const [, count] = /^# tests (\d+)$/m.exec(output) ?? []
    return { passed, count: Number(count ?? 0), output }
  }
  try {
    const { stdout } = await run(command, [...args, "--test-reporter=tap"], {
      cwd,
      timeout: COMMAND_DEADLINE_MS,
      env: { NODE_ENV: "test", PATH: process.env.PATH, HOME: cwd },
    })
    return ran(true, stdout)
  } catch (error) {
    if (!(error instanceof Error && "stdout" in error && "code" in error)) throw error
    if (typeof error.code !== "number") throw error
    return ran(false, String(error.stdout))
  }
}

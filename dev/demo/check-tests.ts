import { cp, rm } from "node:fs/promises"
import { join } from "node:path"
import { git, runTests, type TestRun } from "./repository.ts"

const TESTS = "test"

/**
 * The repository's own tests in a session's sandbox: at the commit the agent began with, and over what it left. The
 * tests are that commit's both times, and as many must run, so an agent that deletes or weakens them gains nothing.
 */
export async function checkTests(
  repository: string,
  sandbox: string,
): Promise<{ before: TestRun; after: TestRun }> {
  const original = join(sandbox, "before")
  const result = join(sandbox, "after")
  try {
    await git(sandbox, "clone", "--quiet", repository, original)
    await cp(join(sandbox, "workspace"), result, { recursive: true, verbatimSymlinks: true })
    await rm(join(result, TESTS), { recursive: true, force: true })
    await cp(join(original, TESTS), join(result, TESTS), { recursive: true })
    const before = await runTests(original)
    const after = await runTests(result)
    const isWhole = after.count > 0 && after.count >= before.count
    return { before, after: { ...after, passed: after.passed && isWhole } }
  } finally {
    for (const dir of [original, result]) await rm(dir, { recursive: true, force: true })
  }
}

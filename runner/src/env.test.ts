import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { readEnvironment } from "./env.ts"

let home: string
let specPath: string

const spec = {
  sessionId: "ses_0123456789",
  generation: 1,
  roomsUrl: "http://127.0.0.1:1",
  runnerToken: "secret",
  modelToken: "secret",
  repoUrl: "file:///r",
  branch: null,
  models: [
    {
      id: "a/b",
      name: "B",
      wire: "messages",
      contextTokens: 1,
      outputTokens: 1,
      reasoning: false,
      images: false,
    },
  ],
  deadlines: { cloneMs: 1, agentMs: 1, warmUpMs: 1 },
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "env-"))
  specPath = join(home, "spec.json")
  writeFileSync(specPath, JSON.stringify(spec))
  vi.stubEnv("AGENT_OPS_SPEC", specPath)
  vi.stubEnv("AGENT_OPS_STATE_DIR", "/state")
  vi.stubEnv("WORKSPACE_DIR", "/workspace")
  vi.stubEnv("OPENCODE_BIN", "/bin/opencode")
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true, force: true })
})

test("the environment and the spec it points to are read", () => {
  expect(readEnvironment()).toMatchObject({
    spec,
    stateDirectory: "/state",
    workspaceDirectory: "/workspace",
    opencode: "/bin/opencode",
  })
})

test("what the agent may see keeps the marks of the sandbox and hides where the tokens stand", () => {
  vi.stubEnv("AGENT_OPS_SANDBOX", "ses_0123456789-g1")
  const { base } = readEnvironment()

  expect(base).toMatchObject({
    AGENT_OPS_SANDBOX: "ses_0123456789-g1",
    AGENT_OPS_STATE_DIR: "/state",
  })
  expect(base).not.toHaveProperty("AGENT_OPS_SPEC")
})

test("every problem is named at once", () => {
  vi.stubEnv("WORKSPACE_DIR", "relative")
  vi.stubEnv("OPENCODE_BIN", undefined)

  expect(readEnvironment).toThrow(/WORKSPACE_DIR: must be an absolute path\n {2}OPENCODE_BIN:/)
})

test("a spec with mistakes names them, one that is missing names its path", () => {
  writeFileSync(specPath, JSON.stringify({ ...spec, generation: 0, models: [] }))
  expect(readEnvironment).toThrow(/generation: [\s\S]*models: /)

  rmSync(specPath)
  expect(readEnvironment).toThrow(specPath)
})

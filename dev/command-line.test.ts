import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"

const STACK_USAGE = "Usage: npm run stack -- --home DIR --port N [--model scripted]"

let home: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "command-line-"))
})

afterAll(() => {
  expect(readdirSync(home)).toEqual([])
  rmSync(home, { recursive: true, force: true })
})

function run(script: string, args: string[], env: Record<string, string> = {}) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { PATH } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { PATH, HOME: home, TMPDIR: home, NODE_ENV: "test", ...env },
    encoding: "utf8",
    timeout: 30_000,
  })
  return { status, stdout, stderr }
}

const noFirstPort = (text: string) =>
  `--port is "${text}", which is no first port. Give the first of four free ports, 1 to 65530, for example 3000. ${STACK_USAGE}`

describe("a command line that cannot be meant is answered with one sentence, and nothing is started", () => {
  test.for<[script: string, args: string[], sentence: string]>([
    ["stack.ts", ["--nope"], `Unknown option '--nope'. ${STACK_USAGE}`],
    [
      "stack.ts",
      ["--home", "x", "--port"],
      `Option '--port <value>' argument missing. ${STACK_USAGE}`,
    ],
    ["stack.ts", ["80"], `Unexpected argument '80'. ${STACK_USAGE}`],
    [
      "stack.ts",
      ["--port", "3000"],
      `--home is missing; name the directory that holds all of this stack. ${STACK_USAGE}`,
    ],
    ["stack.ts", ["--home", "x"], noFirstPort("")],
    ["stack.ts", ["--home", "x", "--port", "0"], noFirstPort("0")],
    ["stack.ts", ["--home", "x", "--port", "70000"], noFirstPort("70000")],
    ["stack.ts", ["--home", "x", "--port", "abc"], noFirstPort("abc")],
    [
      "dev.ts",
      ["--port", "4000"],
      "Unknown option '--port'. Usage: npm run dev; it takes its first port from PORT and its home from AGENT_OPS_HOME",
    ],
    [
      "demo.ts",
      ["--nope"],
      "Unknown option '--nope'. Usage: npm run demo; it takes JSON=1 and DEMO_MODEL=provider/model from the environment",
    ],
    ["keys.ts", ["--nope"], "Unknown option '--nope'. Usage: npm run keys"],
    [
      "rooms.ts",
      ["--nope"],
      "Unknown option '--nope'. Usage: npm run dev:rooms -- [--port N] [--persist DIR]",
    ],
    [
      "rooms.ts",
      ["--port", "abc"],
      "--port abc is not a port; give a number from 0 (any) to 65535.",
    ],
    [
      "model/server.ts",
      ["--nope"],
      "Unknown option '--nope'. Usage: npm run dev:model -- [--port N]",
    ],
    [
      "model/server.ts",
      ["--port", "65536"],
      "--port 65536 is not a port; give a number from 0 (any) to 65535.",
    ],
    [
      "opencode.ts",
      ["--nope"],
      "Unknown option '--nope'. Usage: npm run dev:opencode -- [--port N] [--directory DIR]",
    ],
    ["opencode.ts", ["--port", ""], "--port  is not a port; give a number from 0 (any) to 65535."],
    [
      "postgres/main.ts",
      [],
      "--data is missing; name the directory of the server's files. Usage: main.ts --data DIR [--port N] [--throwaway]",
    ],
  ])("%s %j", ([script, args, sentence]) => {
    expect(run(script, args)).toEqual({ status: 2, stdout: "", stderr: `${sentence}\n` })
  })
})

describe("a port that is taken is named", () => {
  test.for(["rooms.ts", "model/server.ts", "opencode.ts"])("%s", async (script) => {
    const taken = createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const address = taken.address()
    const port = address !== null && typeof address === "object" ? address.port : 0
    const keys = run("keys.ts", []).stdout.trim().split("\n")
    const env = Object.fromEntries(keys.map((line) => line.split(/=(.*)/s, 2)))
    env.WEB_URL = "http://127.0.0.1:9"
    expect(run(script, ["--port", String(port)], env)).toEqual({
      status: 1,
      stdout: "",
      stderr: `Port ${port} is taken. Stop what listens there, or choose another --port.\n`,
    })
    taken.close()
  })
})

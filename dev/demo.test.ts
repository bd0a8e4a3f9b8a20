import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const DEMO = fileURLToPath(new URL("./demo.ts", import.meta.url))

test("a demo that fails prints one JSON object that says why, and nothing else", async () => {
  const dir = mkdtempSync(join(tmpdir(), "agent-ops-demo-test-"))
  const child = spawn(process.execPath, [DEMO], {
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      TMPDIR: dir,
      NODE_ENV: "test",
      JSON: "1",
      OPENCODE_BIN: "/absent/opencode",
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const [out, , [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ])
  rmSync(dir, { recursive: true })
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({
    ok: false,
    why: expect.stringMatching(/^OPENCODE_BIN names \/absent\/opencode, which is no program/),
  })
}, 60_000)

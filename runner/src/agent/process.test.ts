import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { killLeftOver } from "./left-over.ts"
import { type ProcessOptions, startProcess } from "./process.ts"
import { markedProcesses } from "./process-tree.ts"

const listening = "echo 'opencode server listening on http://127.0.0.1:1'"
/** A command in a process group of its own, as the agent's tools have. */
const child = "setsid sleep 1000 &"

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "process-"))
})

afterEach(async () => {
  await killLeftOver(join(root, "scratch", "opencode.mark"), () => undefined)
  rmSync(root, { recursive: true, force: true })
})

const mark = () => readFileSync(join(root, "scratch", "opencode.mark"), "utf8")

function options(script: string, over: Partial<ProcessOptions> = {}): ProcessOptions {
  const program = join(root, "program")
  writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return {
    program,
    base: { PATH: process.env.PATH ?? "" },
    home: root,
    directory: root,
    scratch: join(root, "scratch"),
    config: {},
    deadlineMs: 5_000,
    log: () => undefined,
    ...over,
  }
}

test("a process that listens is known by its line, and its end is noticed at once", async () => {
  const running = await startProcess(options(`${listening}\nexec sleep 1000`))
  expect(running.url).toBe("http://127.0.0.1:1")
  process.kill(running.pid, "SIGKILL")
  expect(await running.exited).toBe("OpenCode exited on SIGKILL")
})

test("one that does not listen in time is ended, with what it said", async () => {
  const start = startProcess(options("echo busy >&2; exec sleep 1000", { deadlineMs: 300 }))
  await expect(start).rejects.toThrow("not listening after 300 ms. It said: busy")
})

test("one that exits first is noticed before the deadline", async () => {
  const start = startProcess(options("echo 'no disk' >&2; exit 3", { deadlineMs: 60_000 }))
  await expect(start).rejects.toThrow(
    "exited with code 3 before it was listening. It said: no disk",
  )
  const missing = startProcess(options("", { program: join(root, "missing") }))
  await expect(missing).rejects.toThrow("OpenCode could not be started")
})

test("stopping ends commands in groups of their own, also when the process is gone already", async () => {
  const running = await startProcess(options(`${child}\n${listening}\nexec sleep 1000`))
  const before = markedProcesses(mark())
  expect(before).toHaveLength(2)
  process.kill(running.pid, "SIGKILL")
  await running.exited
  const left = mark()
  expect(markedProcesses(left)).toHaveLength(1)
  await running.stop("at once")
  expect(markedProcesses(left)).toEqual([])
})

test("a process that ignores SIGTERM is killed", async () => {
  const running = await startProcess(
    options(`trap '' TERM\n${listening}\nwhile :; do sleep 1; done`),
  )
  const left = mark()
  await running.stop("politely")
  expect(markedProcesses(left)).toEqual([])
})

test("[F2] the process of an earlier runner is killed with its commands before another starts", async () => {
  await startProcess(options(`${child}\n${listening}\nexec sleep 1000`))
  const stranger = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" })
  const left = mark()
  expect(markedProcesses(left)).toHaveLength(2)
  const next = await startProcess(options(`${listening}\nexec sleep 1000`))
  expect(markedProcesses(left)).toEqual([])
  expect(stranger.kill("SIGKILL")).toBe(true)
  await next.stop("at once")
})

import { expect, test } from "vitest"
import { runCommand } from "./run-command.ts"

const node = process.execPath

test("a command that succeeds is ok and its output is kept", async () => {
  const outcome = await runCommand([node, "-e", "console.log('hello')"], {
    deadlineMs: 10_000,
    capture: true,
  })

  expect(outcome).toMatchObject({ ok: true, output: "hello\n" })
})

test("a command that fails says how", async () => {
  const outcome = await runCommand([node, "-e", "process.exit(3)"], { deadlineMs: 10_000 })

  expect(outcome).toMatchObject({ ok: false, reason: "exited with 3" })
})

test("a command that does not exist is an outcome, not a crash", async () => {
  const outcome = await runCommand(["no-such-command"], { deadlineMs: 10_000 })

  expect(outcome.ok).toBe(false)
  expect(outcome.reason).toContain("could not be started")
})

test("a command that never ends is ended at its deadline", async () => {
  const outcome = await runCommand([node, "-e", "setInterval(() => {}, 1000)"], { deadlineMs: 300 })

  expect(outcome).toMatchObject({ ok: false, reason: "was not done after 0 s" })
})

test("what a command leaves running is ended with it", async () => {
  const leaveOneBehind = `
    const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" })
    console.log(child.pid)
    child.unref()
    process.exit(0)`
  const outcome = await runCommand([node, "-e", leaveOneBehind], {
    deadlineMs: 10_000,
    capture: true,
  })

  // The outcome comes only once the child's copy of the pipe is closed, so it is gone by now.
  expect(outcome.ok).toBe(true)
  expect(outcome.elapsedMs).toBeLessThan(5_000)
})

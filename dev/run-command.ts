import { spawn } from "node:child_process"

export type Outcome = {
  ok: boolean
  /** Why it is not ok, as the end of a sentence: "exited with 1", "was not done after 60 s". */
  reason: string
  /** What it wrote, when captured. */
  output: string
  elapsedMs: number
}

const running = new Set<number>()
let stopping = false

/**
 * Runs a command in a process group of its own and leaves no process of that group behind.
 * Output goes to the terminal, or with `capture` into the outcome.
 */
export function runCommand(
  command: readonly string[],
  options: { deadlineMs: number; capture?: boolean; env?: Record<string, string> },
): Promise<Outcome> {
  const [file = "", ...args] = command
  const startedAt = performance.now()
  const child = spawn(file, args, {
    detached: true,
    env: { ...process.env, ...options.env },
    stdio: options.capture ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
  })
  const { pid } = child
  if (pid) running.add(pid)

  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => output.push(text))
  }

  let overdue = false
  let deadline = setTimeout(() => {
    overdue = true
    if (pid) signalGroup(pid, "SIGTERM")
    deadline = setTimeout(() => pid && signalGroup(pid, "SIGKILL"), 5_000)
  }, options.deadlineMs)

  return new Promise((resolve) => {
    const done = (ok: boolean, reason: string) => {
      clearTimeout(deadline)
      if (pid) running.delete(pid)
      // A stage that was interrupted has no outcome, so that nothing is started after it.
      if (stopping) return
      resolve({ ok, reason, output: output.join(""), elapsedMs: performance.now() - startedAt })
    }
    child.once("error", (error) => done(false, `could not be started: ${error.message}`))
    // Whatever the command left running would hold its pipes open and the next stage's ports.
    child.once("exit", () => pid && signalGroup(pid, "SIGKILL"))
    child.once("close", (code, signal) => {
      if (overdue) done(false, `was not done after ${Math.round(options.deadlineMs / 1000)} s`)
      else if (code === 0) done(true, "")
      else done(false, signal ? `was ended by ${signal}` : `exited with ${code}`)
    })
  })
}

function signalGroup(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH"
    if (!gone) throw error
  }
}

/** Ends every running command, and then this process, when it is interrupted or told to stop. */
export function endCommandsOnSignal() {
  const stop = (exitCode: number) => {
    stopping = true
    for (const pid of running) signalGroup(pid, "SIGTERM")
    const killAt = performance.now() + 5_000
    setInterval(() => {
      if (running.size > 0 && performance.now() < killAt) return
      for (const pid of running) signalGroup(pid, "SIGKILL")
      process.exit(exitCode)
    }, 50)
  }
  process.once("SIGINT", () => stop(130))
  process.once("SIGTERM", () => stop(143))
}

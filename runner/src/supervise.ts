import { type ChildProcess, spawn } from "node:child_process"
import { signalGroup } from "./agent/process-tree.ts"
import { isCrash } from "./exit-code.ts"
import type { Log } from "./log.ts"

/** The runner ends in order within this time of SIGTERM, or is killed. */
const STOP_MS = 5_000

const WINDOW_MS = 60_000
const MOST_CRASHES = 5
const FIRST_PAUSE_MS = 200

export type SuperviseOptions = {
  command: readonly [string, ...string[]]
  log: Log
  /** Removes what a runner that was killed left running. */
  cleanUp: () => Promise<void>
  /** Resolves when the supervisor itself is told to stop. */
  stop: AbortSignal
}

/**
 * Runs the runner and starts it again after a crash, until it ends by its own decision, it is told to stop, or it
 * crashes too often. Resolves with the code to exit with.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const { log, stop, cleanUp } = options
  let crashes: number[] = []
  for (;;) {
    const code = await runOnce(options)
    await cleanUp()
    if (stop.aborted) return 0
    if (!isCrash(code)) return code ?? 0
    const now = performance.now()
    crashes = [...crashes.filter((at) => now - at < WINDOW_MS), now]
    const pauseMs = pauseAfter(crashes.length)
    log("the runner crashed", { code, crashes: crashes.length, pauseMs })
    if (pauseMs === null) return 1
    await pause(pauseMs, stop)
    if (stop.aborted) return 0
  }
}

/** How long to wait after so many crashes within a minute, or null to give up. */
export function pauseAfter(crashes: number): number | null {
  return crashes >= MOST_CRASHES ? null : FIRST_PAUSE_MS * 2 ** (crashes - 1)
}

/** Resolves with the runner's exit code, or null when a signal ended it, after its whole group is gone. */
function runOnce({ command, stop }: SuperviseOptions): Promise<number | null> {
  const [program, ...args] = command
  // The pipe on its standard input tells the runner when this process is gone, however it went.
  const child = spawn(program, args, { detached: true, stdio: ["pipe", "inherit", "inherit"] })
  const { pid } = child
  if (pid === undefined) return failedToStart(child)
  let kill: NodeJS.Timeout | null = null
  const onStop = () => {
    child.kill("SIGTERM")
    kill = setTimeout(() => signalGroup(pid, "SIGKILL"), STOP_MS)
  }
  if (stop.aborted) onStop()
  stop.addEventListener("abort", onStop)
  return new Promise((resolve) => {
    child.once("exit", (code) => {
      stop.removeEventListener("abort", onStop)
      if (kill) clearTimeout(kill)
      signalGroup(pid, "SIGKILL")
      resolve(code)
    })
  })
}

function failedToStart(child: ChildProcess): Promise<null> {
  return new Promise((resolve) => child.once("error", () => resolve(null)))
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    stop.addEventListener("abort", () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

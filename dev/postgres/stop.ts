import { setTimeout as sleep } from "node:timers/promises"
import type { ClusterFiles } from "./cluster-files.ts"
import { isServerOf } from "./running-server.ts"

/** Fast shutdown; then without a checkpoint (the next start recovers); then the end that nothing refuses. */
const STEPS: readonly { signal: NodeJS.Signals; graceMs: number }[] = [
  { signal: "SIGINT", graceMs: 10_000 },
  { signal: "SIGQUIT", graceMs: 5_000 },
  { signal: "SIGKILL", graceMs: 5_000 },
]
const POLL_MS = 10

/** Ends the server `pid` of a cluster and returns when it is gone. */
export async function stopServer(files: ClusterFiles, pid: number): Promise<void> {
  for (const { signal, graceMs } of STEPS) {
    if (!isServerOf(files, pid) || !sendSignal(pid, signal)) return
    const giveUpAt = performance.now() + graceMs
    while (performance.now() < giveUpAt) {
      if (!isServerOf(files, pid)) return
      await sleep(POLL_MS)
    }
  }
  throw new Error(`PostgreSQL (process ${pid}) survived SIGKILL; look at ${files.log}.`)
}

/** False when the process is gone already. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false
    throw error
  }
}

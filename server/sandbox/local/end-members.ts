import { setTimeout as delay } from "node:timers/promises"
import { SandboxError } from "../provider.ts"
import { isSystemError } from "../system-error.ts"
import { findMembers, type Membership } from "./members.ts"
import { isAlive, type ProcessIdentity, readProcesses } from "./process-table.ts"

/** How long killing may take until it counts as failed: a process in an uninterruptible read does not die. */
const KILL_DEADLINE_MS = 10_000
const POLL_MS = 20

/**
 * Ends every process of the sandbox; resolves when none is left. Its leader has `graceMs` to end its own children in
 * order.
 */
export async function endMembers(sandbox: Membership, graceMs: number): Promise<void> {
  if (sandbox.leader) await askToEnd(sandbox.leader, graceMs)
  const deadline = performance.now() + KILL_DEADLINE_MS
  while (performance.now() < deadline) {
    const members = findMembers(await readProcesses(), sandbox)
    if (members.length === 0) return
    // Stopped first, so that none forks while the others die.
    for (const { pid } of members) send(pid, "SIGSTOP")
    for (const { pid } of members) send(pid, "SIGKILL")
    await delay(POLL_MS)
  }
  throw new SandboxError(
    "sandbox-not-terminated",
    "Some processes of the sandbox did not end although they were killed. It is tried again.",
  )
}

async function askToEnd(leader: ProcessIdentity, graceMs: number): Promise<void> {
  if (!(await isAlive(leader))) return
  send(leader.pid, "SIGTERM")
  const deadline = performance.now() + graceMs
  while (performance.now() < deadline && (await isAlive(leader))) await delay(POLL_MS)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It ended by itself since it was seen, or belongs to another user; the next look tells which.
    if (!isSystemError(error, "ESRCH", "EPERM")) throw error
  }
}

import { existsSync, readdirSync, readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { markVariable } from "./environment.ts"

const rounds = 20
const roundMs = 25

/** Signals a process group; false when no process of it is left. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return signalled(-group, signal)
}

/**
 * Kills every process that carries the mark in its environment. The agent's commands have process groups of their own,
 * so the mark is what finds them. Rejects when some are still there after half a second.
 */
export async function killMarked(mark: string): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const pids = markedProcesses(mark)
    if (pids.length === 0) return
    for (const pid of pids) signalled(pid, "SIGKILL")
    await sleep(roundMs)
  }
  throw new Error(
    `Processes of the agent cannot be killed: ${markedProcesses(mark).join(", ")}. Check what holds them.`,
  )
}

/** Pids of the living processes that carry the mark; none where the system has no /proc. */
export function markedProcesses(mark: string): number[] {
  if (!existsSync("/proc/self/environ")) return []
  const needle = `${markVariable}=${mark}\0`
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(needle))
    .map(Number)
}

/** Empty when the process is gone, a zombie or somebody else's. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8")
  } catch {
    return ""
  }
}

function signalled(target: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(target, signal)
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH"
    if (gone) return false
    throw error
  }
}

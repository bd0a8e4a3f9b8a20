import { readdirSync, readFileSync } from "node:fs"
import { identity, livingPid } from "../process-identity.ts"

/** Every process of a stack carries its home directory under this name, by which the next start finds what was left. */
export const STACK_MARK = "AGENT_OPS_STACK"

const KILL_DEADLINE_MS = 5_000

/** Ends every process that a dead stack of this home left behind. Sandboxes carry no mark and are not touched. */
export async function endLeftovers(home: string): Promise<void> {
  // One that is dying has lost its mark before it gives its port back, so each is remembered until it is gone.
  const found = new Set<string>()
  const giveUpAt = Date.now() + KILL_DEADLINE_MS
  for (;;) {
    for (const who of marked(home)) found.add(who)
    const left = [...found].flatMap((who) => livingPid(who) ?? [])
    if (left.length === 0) return
    if (Date.now() > giveUpAt) {
      throw new Error(`Processes of an earlier stack in ${home} do not end: ${left.join(", ")}`)
    }
    for (const pid of left) signal(pid, "SIGKILL")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function marked(home: string): string[] {
  const mark = `${STACK_MARK}=${home}`
  const own = pids().filter((pid) => pid !== process.pid && environment(pid).includes(mark))
  return own.flatMap((pid) => identity(pid) ?? [])
}

function pids(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger)
  } catch {
    // Without /proc (macOS) leftovers are found by their ports, when the next start cannot bind them.
    return []
  }
}

function environment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")
  } catch {
    return []
  }
}

/** Signals a process, or with a negative number its group; one that is gone is fine. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false
    throw error
  }
}

import { execFile } from "node:child_process"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { promisify } from "node:util"

/** A process of this machine that is neither dead nor a zombie. */
export type Process = {
  pid: number
  parent: number
  /** Leader of its session (on macOS: of its process group). */
  session: number
  /** Opaque and never the same for two processes that share a pid, also across a reboot. */
  startedAt: string
  hasTerminal: boolean
  /** `NAME=value` each; empty when it may not be read. */
  environment: readonly string[]
  /** Hard limit for real-time CPU in µs, null when unlimited or unknown. */
  realtimeLimit: number | null
  cwd: string | null
}

export type ProcessIdentity = Pick<Process, "pid" | "startedAt">

const onLinux = process.platform === "linux"

export async function readProcesses(): Promise<Process[]> {
  if (!onLinux) return readPs()
  return readdirSync("/proc").flatMap((name) => {
    const found = /^\d+$/.test(name) ? readProc(Number(name)) : null
    return found ?? []
  })
}

/** The one process, or null when it is dead. */
export async function readProcess(pid: number): Promise<Process | null> {
  if (onLinux) return readProc(pid)
  return (await readPs()).find((candidate) => candidate.pid === pid) ?? null
}

export async function isAlive({ pid, startedAt }: ProcessIdentity): Promise<boolean> {
  return (await readProcess(pid))?.startedAt === startedAt
}

let bootId: string | undefined

function readProc(pid: number): Process | null {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
  if (!stat) return null
  // The command name stands in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, parent, , session, terminal] = fields
  const startTicks = fields[19]
  if (!startTicks || state === "Z" || state === "X") return null
  bootId ??= attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? "boot"
  return {
    pid,
    parent: Number(parent),
    session: Number(session),
    startedAt: `${bootId}:${startTicks}`,
    hasTerminal: terminal !== "0",
    environment: attempt(() => readFileSync(`/proc/${pid}/environ`, "utf8"))?.split("\0") ?? [],
    realtimeLimit: readRealtimeLimit(pid),
    cwd: attempt(() => readlinkSync(`/proc/${pid}/cwd`)),
  }
}

/** Of this process when no pid is given. */
export function readRealtimeLimit(pid: number | "self" = "self"): number | null {
  const limits = attempt(() => readFileSync(`/proc/${pid}/limits`, "utf8")) ?? ""
  const [, hard] = /^Max realtime timeout +\S+ +(\d+)/m.exec(limits) ?? []
  return hard ? Number(hard) : null
}

/** Processes end while they are read; what cannot be read any more is null. */
function attempt<Result>(read: () => Result): Result | null {
  try {
    return read()
  } catch {
    return null
  }
}

const run = promisify(execFile)

// Not tested on macOS: `ps` there shows the environment of one's own processes after the command line.
async function readPs(): Promise<Process[]> {
  const columns = "pid=,ppid=,pgid=,tty=,stat=,lstart=,command="
  const { stdout } = await run("ps", ["-E", "-ww", "-ax", "-o", columns], {
    maxBuffer: 64 * 1024 * 1024,
    timeout: 10_000,
  })
  return stdout.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/)
    const [pid, parent, group, terminal, state] = words
    if (!pid || state?.startsWith("Z")) return []
    return {
      pid: Number(pid),
      parent: Number(parent),
      session: Number(group),
      startedAt: words.slice(5, 10).join(" "),
      hasTerminal: terminal !== "??",
      environment: words.slice(10),
      realtimeLimit: null,
      cwd: null,
    }
  })
}

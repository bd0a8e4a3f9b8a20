import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { sep } from "node:path"
import { signal } from "../../dev/stack/leftovers.ts"
import { until } from "./until.ts"

export type Found = { pid: number; command: string; environment: string[] }

const GONE_WITHIN_MS = 10_000

/** Every process that works in this directory or was told of it: a stack's parts, its PostgreSQL, its sandboxes. */
export function processesOf(home: string): Found[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    const words = readProc(pid, "cmdline").split("\0")
    const command = words.join(" ").trim()
    const environment = readProc(pid, "environ").split("\0")
    const values = environment.map((entry) => entry.slice(entry.indexOf("=") + 1))
    const knows = [...words, ...values, cwd(pid)].some((path) => isWithin(path, home))
    return command !== "" && knows ? [{ pid, command, environment }] : []
  })
}

/** Kills all of them at one moment: stopped first, so that none notices the death of another. */
export async function killAtOnce(pids: () => number[]): Promise<void> {
  for (const pid of pids()) signal(pid, "SIGSTOP")
  await until("every process to be gone", GONE_WITHIN_MS, () => {
    const left = pids()
    for (const pid of left) signal(pid, "SIGKILL")
    return left.length === 0
  })
}

const isWithin = (path: string, directory: string) =>
  path === directory || path.startsWith(directory + sep)

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
  } catch {
    return ""
  }
}

function cwd(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ""
  }
}

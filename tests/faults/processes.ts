import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { sep } from "node:path"
import { signal } from "../../dev/stack/leftovers.ts"
import { until } from "./until.ts"

export type Found = { pid: number; command: string; environment: string[] }

const GONE_WITHIN_MS = 10_000

/** Every process that works in this directory or was told of it: a stack's parts, its PostgreSQL, its sandboxes. */
export function processesOf(home: string): Found[] {
  return processes((found) => {
    if (!found.text.includes(home)) return isWithin(cwd(found.pid), home)
    const { words, environment } = found
    const values = environment.map((entry) => entry.slice(entry.indexOf("=") + 1))
    return [...words, ...values, cwd(found.pid)].some((path) => isWithin(path, home))
  })
}

/** Every process with exactly this in its environment. */
export function processesWith(variable: string): Found[] {
  return processes(({ text, environment }) => {
    return text.includes(variable) && environment.includes(variable)
  })
}

type Candidate = { pid: number; text: string; words: string[]; environment: string[] }

function processes(matches: (candidate: Candidate) => boolean): Found[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    const commandLine = readProc(pid, "cmdline")
    if (commandLine === "") return []
    const told = readProc(pid, "environ")
    const words = commandLine.split("\0")
    const environment = told.split("\0")
    const candidate = { pid, text: commandLine + told, words, environment }
    return matches(candidate) ? [{ pid, command: words.join(" ").trim(), environment }] : []
  })
}

/** Stops all of them, with what they start meanwhile: none notices what becomes of another. */
export async function freezeAtOnce(pids: () => number[]): Promise<void> {
  const frozen = new Set<number>()
  await until("every process to be frozen", GONE_WITHIN_MS, () => {
    const fresh = pids().filter((pid) => !frozen.has(pid))
    for (const pid of fresh) {
      signal(pid, "SIGSTOP")
      frozen.add(pid)
    }
    return fresh.length === 0
  })
}

/** Kills all of them at one moment. */
export async function killAtOnce(pids: () => number[]): Promise<void> {
  await freezeAtOnce(pids)
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

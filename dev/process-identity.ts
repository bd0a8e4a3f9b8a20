import { readFileSync } from "node:fs"

/** A process by pid and start time, since a pid alone may belong to another one by now; null when it is dead. */
export function identity(pid: number): string | null {
  const fields = statFields(pid)
  if (fields) return isGone(fields) ? null : `${pid} ${fields[19]}`
  return pid === process.pid ? `${pid}` : null
}

/** The pid in an identity, or null when that very process is dead or the text is no identity. */
export function livingPid(text: string): number | null {
  const pid = Number.parseInt(text, 10)
  return pid > 0 && identity(pid) === text ? pid : null
}

export function parentOf(pid: number): number {
  return Number(statFields(pid)?.[1] ?? 0)
}

/** Whether the process runs a worker of its own below it; true where the kernel does not say. */
export function hasChildren(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8") !== ""
  } catch {
    return true
  }
}

/** A killed process that nobody has collected yet keeps its entry; while other threads of it die it keeps its ports too. */
const isGone = ([state, ...more]: string[]) => state === "Z" && Number(more[16]) <= 1

/** What stands in `/proc/<pid>/stat` after the name, which may itself contain spaces and parentheses. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return null
  }
}

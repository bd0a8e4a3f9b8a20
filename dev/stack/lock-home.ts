import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** One stack per home: two would fight over its ports, files and sandboxes. Returns what gives the home free again. */
export function lockHome(home: string): () => void {
  const path = join(home, "stack.lock")
  const holder = readHolder(path)
  if (holder) throw alreadyRuns(home, holder)
  rmSync(path, { force: true })
  try {
    writeFileSync(path, identity(process.pid) ?? "", { flag: "wx" })
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw alreadyRuns(home, readHolder(path))
    }
    throw error
  }
  return () => rmSync(path, { force: true })
}

/** The pid of the stack that holds this home, or null when none is alive. */
export function holderOf(home: string): number | null {
  return readHolder(join(home, "stack.lock"))
}

function readHolder(path: string): number | null {
  try {
    const text = readFileSync(path, "utf8")
    const pid = Number.parseInt(text, 10)
    return pid > 0 && identity(pid) === text ? pid : null
  } catch {
    return null
  }
}

/** A process by pid and start time, since a pid alone may belong to another one by now. */
function identity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    // A killed process that nobody has collected yet keeps its entry.
    return fields[0] === "Z" ? null : `${pid} ${fields[19]}`
  } catch {
    return pid === process.pid ? `${pid}` : null
  }
}

function alreadyRuns(home: string, pid: number | null): Error {
  const who = pid ? ` with pid ${pid}` : ""
  return new Error(`A stack${who} already runs in ${home}. Stop it, or choose another --home.`)
}

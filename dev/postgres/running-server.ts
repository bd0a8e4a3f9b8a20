import { readFileSync, readlinkSync, realpathSync } from "node:fs"
import { basename, join } from "node:path"
import type { ClusterFiles } from "./cluster-files.ts"

/** What `postmaster.pid` says of the server that holds a cluster now. */
export type RunningServer = { pid: number; port: number; isReady: boolean }

/** The live server of this cluster. A stale file, or a process that merely inherited the id, is none. */
export function findRunningServer(files: ClusterFiles): RunningServer | undefined {
  const lines = readLockFile(files)
  const pid = Number(lines?.[0])
  if (!lines || !isServerOf(files, pid)) return undefined
  return { pid, port: Number(lines[3]), isReady: lines[7]?.trim() === "ready" }
}

/** True while process `pid` is a PostgreSQL server that works in this cluster. */
export function isServerOf(files: ClusterFiles, pid: number): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/cwd`) === realpathSync(files.cluster) &&
      basename(readlinkSync(`/proc/${pid}/exe`)).startsWith("postgres")
    )
  } catch {
    return false
  }
}

function readLockFile(files: ClusterFiles): string[] | undefined {
  try {
    return readFileSync(join(files.cluster, "postmaster.pid"), "utf8").split("\n")
  } catch {
    return undefined
  }
}

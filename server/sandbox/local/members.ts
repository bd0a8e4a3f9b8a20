import { sep } from "node:path"
import type { Process, ProcessIdentity } from "./process-table.ts"

/** What all processes of one sandbox have in common. */
export type Membership = {
  /** `NAME=value` in the environment they were started with. */
  marker: string
  /** A real-time limit that no other sandbox has; null where it cannot be set. */
  realtimeTag: number | null
  leader: ProcessIdentity | null
  /** Of the session; null when it may hold another sandbox by now. */
  directory: string | null
}

/**
 * The processes of a sandbox. They inherit the real-time limit whatever they do: a new session, a second fork, an empty
 * environment, another directory. Without it the marker, descent, the leader's session and the directory must do.
 */
export function findMembers(processes: readonly Process[], sandbox: Membership): Process[] {
  const { leader } = sandbox
  const leaderLives = processes.some(
    (candidate) => candidate.pid === leader?.pid && candidate.startedAt === leader.startedAt,
  )
  const session = leaderLives ? leader?.pid : undefined
  const members = new Set<number>()
  for (const candidate of processes) {
    if (candidate.session === session || bearsMark(candidate, sandbox)) members.add(candidate.pid)
  }
  addDescendants(processes, members)
  return processes.filter(({ pid }) => members.has(pid) && pid !== process.pid)
}

function bearsMark(candidate: Process, { marker, realtimeTag, directory }: Membership): boolean {
  if (candidate.environment.includes(marker)) return true
  if (realtimeTag !== null) return candidate.realtimeLimit === realtimeTag
  // A person's own shell may stand in the workspace too; it has a terminal.
  return !candidate.hasTerminal && isInside(candidate.cwd, directory)
}

function isInside(path: string | null, directory: string | null): boolean {
  if (path === null || directory === null) return false
  return path === directory || path.startsWith(directory + sep)
}

function addDescendants(processes: readonly Process[], members: Set<number>): void {
  let before: number
  do {
    before = members.size
    for (const { pid, parent } of processes) if (members.has(parent)) members.add(pid)
  } while (members.size > before)
}

import { sep } from "node:path"
import type { Process, ProcessIdentity } from "./process-table.ts"
import { SMALLEST_TAG } from "./realtime-tag.ts"

/** What all processes of one sandbox have in common. */
export type Membership = {
  /** `NAME=value` in the environment they were started with. */
  marker: string
  /** A real-time limit that no other sandbox has; null where it could not be set or is not known any more. */
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
  const marked = processes.filter(({ environment }) => environment.includes(sandbox.marker))
  const tags = knownTags(marked, sandbox)
  const session = leaderSession(processes, sandbox.leader)
  const others = processes.filter(
    (candidate) =>
      candidate.session === session ||
      tags.has(candidate.realtimeLimit) ||
      (tags.size === 0 && standsIn(candidate, sandbox.directory)),
  )
  const members = withDescendants(processes, [...marked, ...others])
  return processes.filter(({ pid }) => members.has(pid) && pid !== process.pid)
}

/** The recorded tag, and those that marked processes bear in case the record was lost. */
function knownTags(marked: readonly Process[], { realtimeTag }: Membership): Set<number | null> {
  const borne = marked.flatMap(({ realtimeLimit }) => realtimeLimit ?? [])
  const tags = new Set<number | null>(borne.filter((limit) => limit >= SMALLEST_TAG))
  return realtimeTag === null ? tags : tags.add(realtimeTag)
}

/** While the leader lives its pid is no one else's, so whoever is in its session came from it. */
function leaderSession(processes: readonly Process[], leader: ProcessIdentity | null) {
  const found = processes.find(
    ({ pid, startedAt }) => pid === leader?.pid && startedAt === leader.startedAt,
  )
  return found?.pid
}

// A person's own shell may stand in the workspace too; it has a terminal.
function standsIn({ cwd, hasTerminal }: Process, directory: string | null): boolean {
  if (cwd === null || directory === null || hasTerminal) return false
  return cwd === directory || cwd.startsWith(directory + sep)
}

function withDescendants(processes: readonly Process[], roots: readonly Process[]): Set<number> {
  const members = new Set(roots.map(({ pid }) => pid))
  let before: number
  do {
    before = members.size
    for (const { pid, parent } of processes) if (members.has(parent)) members.add(pid)
  } while (members.size > before)
  return members
}

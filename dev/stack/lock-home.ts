import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { withNamedLock } from "../named-lock.ts"
import { identity, livingPid } from "../process-identity.ts"
import { starters } from "../starters.ts"
import { signal } from "./leftovers.ts"

/** A stack whose starter was killed ends by itself in this time, or is ended. */
const FORSAKEN_DEADLINE_MS = 20_000
const POLL_MS = 50

/** One stack per home: two would fight over its ports, files and sandboxes. Returns what gives the home free again. */
export async function lockHome(home: string): Promise<() => void> {
  const path = lockFile(home)
  const { dev, ino } = statSync(home)
  const deadlineMs = 2 * FORSAKEN_DEADLINE_MS
  const late = () => alreadyRuns(home, holderOf(home))
  // Judging the holder and taking its place is one step, or two starters could both find the same dead one.
  await withNamedLock(`agent-ops-home:${dev}:${ino}`, { deadlineMs, late }, async () => {
    if (isForsaken(path)) await ended(path)
    const holder = readHolder(path)
    if (holder) throw alreadyRuns(home, holder)
    writeFileSync(`${path}.new`, [identity(process.pid), ...starters()].join("\n"))
    renameSync(`${path}.new`, path)
  })
  return () => rmSync(path, { force: true })
}

/** The pid of the stack that holds this home, or null when none is alive. */
export function holderOf(home: string): number | null {
  return readHolder(lockFile(home))
}

const lockFile = (home: string) => join(home, "stack.lock")

const readHolder = (path: string) => livingPid(readLines(path)[0] ?? "")

/** Whether a stack holds the home that nobody can tell to stop: the npm or make that started it was killed. */
function isForsaken(path: string): boolean {
  return readHolder(path) !== null && !readLines(path).every(livingPid)
}

/** The identities of the holder and of what started it. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n")
  } catch {
    return []
  }
}

async function ended(path: string): Promise<void> {
  const holder = readHolder(path)
  const killAt = performance.now() + FORSAKEN_DEADLINE_MS
  while (readHolder(path)) {
    if (holder && performance.now() > killAt) signal(holder, "SIGKILL")
    await sleep(POLL_MS)
  }
}

function alreadyRuns(home: string, pid: number | null): Error {
  const who = pid ? ` with pid ${pid}` : ""
  return new Error(
    `A stack${who} already runs in ${home}. Stop it, or choose another --home (make dev: AGENT_OPS_HOME).`,
  )
}

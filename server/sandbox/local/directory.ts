import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { isSystemError } from "../system-error.ts"

/** Where one session's machine lives, kept from generation to generation until the session ends. */
export type SandboxDirectory = {
  root: string
  home: string
  workspace: string
  /** The runner's own: outbox, journal. */
  state: string
  /** Emptied for each generation. */
  temporary: string
  spec: string
  handle: string
  log: string
}

/** Never a path that leads elsewhere, nor what a file browser leaves behind. */
const isSessionId = (name: string) => /^\w[\w-]*$/.test(name)

const sandboxesIn = (home: string) => join(home, "sandboxes")

export function sandboxDirectory(home: string, sessionId: string): SandboxDirectory {
  if (!isSessionId(sessionId)) throw new Error(`${sessionId} is no session's id`)
  const root = join(sandboxesIn(home), sessionId)
  return {
    root,
    home: join(root, "home"),
    workspace: join(root, "workspace"),
    state: join(root, "state"),
    temporary: join(root, "tmp"),
    spec: join(root, "spec.json"),
    handle: join(root, "handle.json"),
    log: join(root, "log"),
  }
}

export async function makeDirectory(directory: SandboxDirectory): Promise<void> {
  const { root, home, workspace, state } = directory
  for (const path of [root, home, workspace, state]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
  }
}

export async function emptyTemporary({ temporary }: SandboxDirectory): Promise<void> {
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { mode: 0o700 })
}

/** Ids of the sessions that have a directory. */
export async function listDirectories(home: string): Promise<string[]> {
  try {
    return (await readdir(sandboxesIn(home))).filter(isSessionId)
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return []
    throw error
  }
}

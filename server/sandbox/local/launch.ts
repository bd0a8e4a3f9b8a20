import { spawn } from "node:child_process"
import { once } from "node:events"
import { open } from "node:fs/promises"
import { SandboxError } from "../provider.ts"
import type { SandboxDirectory } from "./directory.ts"
import { readTail } from "./log-file.ts"
import { type ProcessIdentity, readProcess } from "./process-table.ts"

export type Launch = {
  command: readonly [string, ...string[]]
  environment: Record<string, string>
  directory: SandboxDirectory
  /** Path of `prlimit` and the tag it sets; null without one. */
  tag: { prlimit: string; value: number } | null
}

/** Starts the sandbox's first process, in a session of its own so that it outlives this one. */
export async function launch({
  command,
  environment,
  directory,
  tag,
}: Launch): Promise<ProcessIdentity> {
  const log = await open(directory.log, "a", 0o600)
  try {
    const [program, ...rest] = command
    const [first, ...others] = tag
      ? ([tag.prlimit, `--rttime=${tag.value}:${tag.value}`, program, ...rest] as const)
      : ([program, ...rest] as const)
    const child = spawn(first, others, {
      cwd: directory.workspace,
      // Next's types make NODE_ENV a must; a sandbox chooses its own.
      env: environment as NodeJS.ProcessEnv,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    })
    await once(child, "spawn")
    child.unref()
    const started = child.pid === undefined ? null : await readProcess(child.pid)
    if (started) return { pid: started.pid, startedAt: started.startedAt }
  } finally {
    await log.close()
  }
  throw new SandboxError(
    "sandbox-create-failed",
    `The sandbox's runner ended as soon as it started: ${await readTail(directory.log)}`,
  )
}

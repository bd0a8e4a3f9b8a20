import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { ClusterFiles } from "./cluster-files.ts"
import { findRunningServer, type RunningServer } from "./running-server.ts"
import { asServer, type Runtime } from "./runtime.ts"
import { serverArguments } from "./server-settings.ts"
import { StartError, startError } from "./start-error.ts"

const POLL_MS = 10

/** `port` undefined takes a free one. `giveUpAt` is on the clock of `performance.now()`. */
export type StartOptions = { port?: number; isThrowaway: boolean; giveUpAt: number }

/** Starts the server of a cluster that has none, and returns when it accepts connections. */
export async function startServer(
  files: ClusterFiles,
  runtime: Runtime,
  options: StartOptions,
): Promise<RunningServer> {
  await removeStaleLock(files)
  while (true) {
    const port = options.port ?? (await freePort())
    const hasEnded = spawnServer(files, runtime, serverArguments(port, options.isThrowaway))
    const server = await readyServer(files, hasEnded, options.giveUpAt)
    if (server) return server
    const log = readFileSync(files.log, "utf8")
    const isPortTaken = log.includes("Address already in use")
    if (isPortTaken && options.port) {
      throw new StartError(
        `Port ${port} on 127.0.0.1 is taken by another program. End it, or choose another port.`,
      )
    }
    if (options.port && /could not bind .*: Permission denied/.test(log)) {
      throw new StartError(
        `Port ${port}, for PostgreSQL, is not open to the account that it runs as, as most ports below 1024 are. Choose another port.`,
      )
    }
    // Processes of a server that was killed let go of its shared memory a moment later.
    const isTransient = isPortTaken || log.includes("pre-existing shared memory block")
    if (!isTransient || performance.now() > options.giveUpAt) {
      throw startError(`PostgreSQL in ${files.dataDir} did not start`, log)
    }
    await sleep(POLL_MS)
  }
}

/** The server that holds the cluster once it is ready; undefined when none does (any more). */
export async function readyServer(
  files: ClusterFiles,
  hasEnded: () => boolean,
  giveUpAt: number,
): Promise<RunningServer | undefined> {
  while (!hasEnded()) {
    const server = findRunningServer(files)
    if (server?.isReady) return server
    if (performance.now() > giveUpAt) {
      throw new StartError(
        `PostgreSQL in ${files.dataDir} is not ready in time. Its log ${files.log} may say why; starting again continues.`,
      )
    }
    await sleep(POLL_MS)
  }
  return undefined
}

/** Spawned with a process group and a log of its own, so that it outlives a launcher that dies. */
function spawnServer(files: ClusterFiles, runtime: Runtime, args: string[]): () => boolean {
  const log = openSync(files.log, "w", 0o600)
  const server = spawn(runtime.postgres, args, {
    ...asServer(runtime, files.cluster),
    detached: true,
    stdio: ["ignore", log, log],
  })
  closeSync(log)
  let hasEnded = false
  const end = () => {
    hasEnded = true
  }
  server.once("exit", end)
  server.once("error", end)
  server.unref()
  return () => hasEnded
}

/**
 * After a crash and a reboot the process id in the lock file may belong to some other program, which PostgreSQL
 * would take for a server. The caller knows that there is none.
 */
async function removeStaleLock(files: ClusterFiles): Promise<void> {
  const path = join(files.cluster, "postmaster.pid")
  const pid = Number.parseInt(readIfThere(path), 10)
  if (pid > 0 && isAlive(pid)) await rm(path)
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0))
    })
  })
}

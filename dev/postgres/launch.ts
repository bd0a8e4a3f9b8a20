import { existsSync } from "node:fs"
import pg from "pg"
import {
  type ClusterFiles,
  clusterFiles,
  makeDataDir,
  openDataDir,
  readPassword,
} from "./cluster-files.ts"
import { initialise } from "./initialise.ts"
import { withLaunchLock } from "./launch-lock.ts"
import { findRunningServer } from "./running-server.ts"
import { findRuntime } from "./runtime.ts"
import { StartError, startError } from "./start-error.ts"
import { readyServer, type StartOptions, startServer } from "./start-server.ts"
import { stopServer } from "./stop.ts"

/** A running server. `url` is its superuser's, for database `postgres`; `stop` ends it for everybody who uses it. */
export type Postgres = {
  url: string
  port: number
  pid: number
  /** False when a live server of this data directory was found and is used again. */
  isNew: boolean
  /** True until the process is gone. */
  isAlive: () => boolean
  stop: () => Promise<void>
}

export type LaunchOptions = {
  /** Made when missing. Holds the cluster, its password (mode 0600) and its log. */
  dataDir: string
  /** Default: a free one. A live server keeps the port it has. */
  port?: number
  /** For tests: quick and not durable. Default false. */
  isThrowaway?: boolean
  /** Default 60,000, enough for the recovery after a crash. */
  deadlineMs?: number
}

const ANSWER_DEADLINE_MS = 10_000

/**
 * The PostgreSQL server of a data directory on 127.0.0.1: the live one, else a new one, initialised at the first use.
 * Launchers that race end with one server. Throws StartError with a sentence that says what to do.
 */
export async function launchPostgres(options: LaunchOptions): Promise<Postgres> {
  const { deadlineMs = 60_000, isThrowaway = false, port } = options
  const files = clusterFiles(options.dataDir)
  await makeDataDir(files)
  return withLaunchLock(files.dataDir, deadlineMs, async () => {
    await openDataDir(files)
    const giveUpAt = performance.now() + deadlineMs
    // A server that is starting or stopping becomes the one or the other first.
    const live = await readyServer(files, () => !findRunningServer(files), giveUpAt)
    const server = live ?? (await start(files, { port, isThrowaway, giveUpAt }))
    const url = `postgresql://postgres:${await readPassword(files)}@127.0.0.1:${server.port}/postgres`
    await assertAnswers(url, files, server.pid)
    return {
      url,
      port: server.port,
      pid: server.pid,
      isNew: !live,
      isAlive: () => findRunningServer(files)?.pid === server.pid,
      stop: () => stopServer(files, server.pid),
    }
  })
}

async function start(files: ClusterFiles, options: StartOptions) {
  try {
    const runtime = findRuntime(files)
    if (!existsSync(files.cluster)) await initialise(files, runtime, options.isThrowaway)
    return await startServer(files, runtime, options)
  } catch (error) {
    if (error instanceof StartError) throw error
    throw startError(`PostgreSQL in ${files.dataDir} did not start`, String(error))
  }
}

/** The password proves both sides to each other, so an answer also says that the port is this server's. */
async function assertAnswers(url: string, files: ClusterFiles, pid: number): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: ANSWER_DEADLINE_MS,
    query_timeout: ANSWER_DEADLINE_MS,
  })
  try {
    await client.connect()
    await client.query("select 1")
  } catch (error) {
    throw new StartError(
      `PostgreSQL in ${files.dataDir} runs as process ${pid} but does not answer: ${String(error)}. End that process and start again; its log is ${files.log}.`,
    )
  } finally {
    await client.end()
  }
}

import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { createOpencodeClient, type OpencodeClient } from "@opencode-ai/sdk/v2/client"
import { endWithTests } from "../setup/end-with-tests.ts"

const binary = fileURLToPath(
  new URL("../../node_modules/opencode-linux-x64/bin/opencode", import.meta.url),
)
const startDeadlineMs = 90_000
const stopDeadlineMs = 5_000

export type RunningOpencode = { client: OpencodeClient; stop: () => Promise<void> }

/**
 * Starts the real OpenCode on loopback, with a home of its own and a random password.
 * Rejects when it is not listening within 90 s or exits before.
 */
export async function startOpencode(options: {
  home: string
  project: string
  config: object
}): Promise<RunningOpencode> {
  const password = randomUUID()
  await mkdir(options.home, { recursive: true })
  const child = spawn(binary, ["serve", "--hostname", "127.0.0.1", "--port", "0"], {
    cwd: options.project,
    detached: true,
    env: environment(options.home, password, options.config),
    stdio: ["ignore", "pipe", "inherit"],
  })
  endWithTests(child)
  try {
    const baseUrl = await listeningUrl(child)
    const client = createOpencodeClient({
      baseUrl,
      directory: options.project,
      headers: { authorization: `Basic ${btoa(`opencode:${password}`)}` },
    })
    return { client, stop: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw error
  }
}

function environment(home: string, password: string, config: object): NodeJS.ProcessEnv {
  return {
    NODE_ENV: process.env.NODE_ENV,
    PATH: process.env.PATH,
    HOME: home,
    XDG_DATA_HOME: join(home, "data"),
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_STATE_HOME: join(home, "state"),
    XDG_CACHE_HOME: join(home, "cache"),
    OPENCODE_SERVER_PASSWORD: password,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    OPENCODE_DISABLE_SHARE: "1",
    OPENCODE_DISABLE_PROJECT_CONFIG: "1",
  }
}

/** A request that arrives while OpenCode starts may never be answered, so its own line is awaited. */
async function listeningUrl({ stdout }: ChildProcess): Promise<string> {
  if (!stdout) throw new Error("OpenCode was started without its output.")
  const timer = AbortSignal.timeout(startDeadlineMs)
  const lines = createInterface({ input: stdout, signal: timer })
  for await (const line of lines) {
    const url = /listening on (http:\S+)/.exec(line)?.[1]
    if (url) {
      stdout.resume()
      return url
    }
  }
  throw new Error(
    timer.aborted
      ? `OpenCode was not listening after ${startDeadlineMs} ms.`
      : "OpenCode exited before it was listening; its reason is above.",
  )
}

/** Ends OpenCode and what its tools left running. SIGTERM is not always heeded. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const group = -child.pid
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, "exit")
    signalGroup(group, "SIGTERM")
    const timer = setTimeout(() => signalGroup(group, "SIGKILL"), stopDeadlineMs)
    await exited
    clearTimeout(timer)
  }
  signalGroup(group, "SIGKILL")
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(group, signal)
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH"
    if (!gone) throw error
  }
}

import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { StringDecoder } from "node:string_decoder"
import type { Log } from "../log.ts"
import { BoundedLog } from "./bounded-log.ts"
import { agentEnvironment } from "./environment.ts"
import { forgetMark, killLeftOver, noteMark } from "./left-over.ts"
import { killMarked, signalGroup } from "./process-tree.ts"

const termMs = 3_000
const killMs = 2_000

export type ProcessOptions = {
  /** Path of the OpenCode program. */
  program: string
  /** Environment for the agent and its tools, without secrets of the runner. */
  base: Record<string, string>
  home: string
  directory: string
  /** Directory for the log and the note of the running process. */
  scratch: string
  config: object
  deadlineMs: number
  log: Log
}

export type AgentProcess = {
  url: string
  password: string
  pid: number
  /** Settles with a sentence as soon as the process is gone, whoever ended it. */
  exited: Promise<string>
  /** Ends the process, its group and all that its tools left running. */
  stop(how: "politely" | "at once"): Promise<void>
}

/** Where the mark of the running process is noted. */
export const markFile = (scratch: string) => join(scratch, "opencode.mark")

/**
 * Starts OpenCode on loopback with a random password, after killing one that an earlier runner left behind. Rejects when
 * it is not listening within the deadline.
 */
export async function startProcess(options: ProcessOptions): Promise<AgentProcess> {
  const { directory, scratch, log } = options
  const note = markFile(scratch)
  await killLeftOver(note, log)
  const output = new BoundedLog(join(scratch, "opencode.log"))
  const password = randomUUID()
  const mark = randomUUID()
  await noteMark(note, mark)
  const child = spawn(options.program, ["serve", "--hostname", "127.0.0.1", "--port", "0"], {
    cwd: directory,
    // A session of its own: signals for the runner do not reach it, signals for its group reach all of it.
    detached: true,
    // Node's own type allows any variables; a framework's narrower one must not follow us here.
    env: agentEnvironment({ ...options, password, mark }) as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const exited = exitSentence(child)
  const stop = async (how: "politely" | "at once") => {
    await end(child, exited, how)
    await killMarked(mark)
    await forgetMark(note)
  }
  try {
    const listening = listeningUrl(child, output)
    const pid = child.pid
    if (pid === undefined) throw new Error(await exited)
    const url = await firstOf(listening, exited, output, options.deadlineMs)
    return { url, password, pid, exited, stop }
  } catch (error) {
    await stop("at once")
    throw error
  }
}

function exitSentence(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`OpenCode could not be started: ${error.message}`))
    child.once("exit", (code, signal) =>
      resolve(`OpenCode exited ${signal ? `on ${signal}` : `with code ${code}`}`),
    )
  })
}

/** A request that arrives while OpenCode starts may never be answered, so its own line is awaited. */
function listeningUrl(child: ChildProcess, output: BoundedLog): Promise<string> {
  return new Promise((resolve) => {
    let head = ""
    const read = (stream: ChildProcess["stdout"], look: boolean) => {
      const decoder = new StringDecoder("utf8")
      stream?.on("data", (chunk: Buffer) => {
        const text = decoder.write(chunk)
        output.append(text)
        if (!look || head.length > 64 * 1024) return
        head += text
        const url = /listening on (http:\S+)\s/.exec(head)?.[1]
        if (url) resolve(url)
      })
    }
    read(child.stdout, true)
    read(child.stderr, false)
  })
}

async function firstOf(
  listening: Promise<string>,
  exited: Promise<string>,
  output: BoundedLog,
  deadlineMs: number,
): Promise<string> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const said = () => (output.tail ? ` It said: ${output.tail.slice(-1_000)}` : "")
  const timer = setTimeout(
    () => reject(new Error(`OpenCode was not listening after ${deadlineMs} ms.${said()}`)),
    deadlineMs,
  )
  const died = exited.then((sentence) => {
    throw new Error(`${sentence} before it was listening.${said()}`)
  })
  try {
    return await Promise.race([listening, died, late])
  } finally {
    clearTimeout(timer)
  }
}

/** OpenCode does not always heed SIGTERM. */
async function end(child: ChildProcess, exited: Promise<string>, how: "politely" | "at once") {
  const { pid } = child
  if (pid === undefined) return
  const running = child.exitCode === null && child.signalCode === null
  if (running && how === "politely") {
    signalGroup(pid, "SIGTERM")
    await within(exited, termMs)
  }
  signalGroup(pid, "SIGKILL")
  await within(exited, killMs)
}

async function within(settled: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([settled, late.promise])
  clearTimeout(timer)
}

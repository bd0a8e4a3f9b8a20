import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { dirname } from "node:path"
import { markVariable } from "../agent/environment.ts"
import { killMarked } from "../agent/process-tree.ts"

export type GitOptions = {
  /** Ends git, and with it the programs that it started. */
  signal?: AbortSignal
  environment?: Record<string, string>
  input?: string | Buffer
  /** Git is ended once it has written this much; the result is then cut. */
  maxOutputBytes?: number
  onStderr?: (text: string) => void
}

export type GitResult = {
  /** Null when git was ended from outside. */
  code: number | null
  stdout: Buffer
  /** At most the last 16 KB. */
  stderr: string
  cut: boolean
}

export type Git = (args: string[], options?: GitOptions) => Promise<GitResult>

const MAX_STDERR_CHARS = 16 * 1024

/** Never asks, never pages, speaks English, and reaches no other repository unless a command is given a way to it. */
const ENVIRONMENT = {
  LC_ALL: "C",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "",
  SSH_ASKPASS: "",
  GIT_ALLOW_PROTOCOL: "",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_LITERAL_PATHSPECS: "1",
  GIT_PAGER: "cat",
}

/** Git commands run in `directory`. Never rejects for what git says; rejects when git cannot be started or was aborted. */
export function gitIn(directory: string, inherited: NodeJS.ProcessEnv): Git {
  return (args, options = {}) =>
    new Promise((resolve, reject) => {
      const { signal, environment, input, maxOutputBytes = 64 * 1024 * 1024, onStderr } = options
      signal?.throwIfAborted()
      const mark = randomUUID()
      const child = spawn("git", args, {
        cwd: directory,
        env: {
          ...inherited,
          ...ENVIRONMENT,
          // A checkout that lost its repository must not be taken for a part of one around it.
          GIT_CEILING_DIRECTORIES: dirname(directory),
          ...environment,
          [markVariable]: mark,
        },
        stdio: ["pipe", "pipe", "pipe"],
      })
      const end = () => {
        child.kill("SIGKILL")
        // A helper that waits for a dead network would outlive git and keep its output open.
        killMarked(mark).catch(reject)
      }
      signal?.addEventListener("abort", end)

      const chunks: Buffer[] = []
      let bytes = 0
      let cut = false
      let stderr = ""
      child.stdout.on("data", (chunk: Buffer) => {
        if (cut) return
        chunks.push(chunk)
        bytes += chunk.length
        cut = bytes > maxOutputBytes
        if (cut) end()
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr = (stderr + text).slice(-MAX_STDERR_CHARS)
        onStderr?.(text)
      })
      // Git may end before it has read everything; its exit code says what that means.
      child.stdin.on("error", () => undefined)
      child.stdin.end(input)
      child.on("error", reject)
      child.on("close", (code) => {
        signal?.removeEventListener("abort", end)
        if (signal?.aborted) reject(signal.reason)
        else resolve({ code, stdout: Buffer.concat(chunks), stderr, cut })
      })
    })
}

/** Standard output of a git command that has to succeed, without its last line break. */
export async function gitOutput(git: Git, args: string[], options?: GitOptions): Promise<string> {
  return (await gitBytes(git, args, options)).toString("utf8").replace(/\n$/, "")
}

/**
 * The records of a git command that ends each with NUL and has to succeed. A character is one byte, so that a file's
 * name that is not UTF-8 reaches git again as it was, by `gitInput`.
 */
export async function gitRecords(git: Git, args: string[]): Promise<string[]> {
  const text = (await gitBytes(git, args)).toString("latin1")
  return text.split("\0").filter((record) => record !== "")
}

/** Records as git reads them with `-z`. */
export const gitInput = (records: string[]): Buffer =>
  Buffer.from(records.map((record) => `${record}\0`).join(""), "latin1")

async function gitBytes(git: Git, args: string[], options?: GitOptions): Promise<Buffer> {
  const { code, stdout, stderr } = await git(args, options)
  if (code !== 0) throw new Error(`git ${args[0]} ended with ${code}: ${stderr.trim()}`)
  return stdout
}

import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { endWithTests } from "../setup/end-with-tests.ts"

const inModules = (path: string) =>
  fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url))

const bun = inModules("@oven/bun-linux-x64/bin/bun")
const opencode = inModules("opencode-linux-x64/bin/opencode")
const source = fileURLToPath(new URL("../../runner/src/bin.ts", import.meta.url))

/** Bundles the runner as it ships. */
export function bundleRunner(outfile: string): void {
  execFileSync(bun, ["build", source, "--target=bun", `--outfile=${outfile}`], { stdio: "pipe" })
}

/** A sandbox's directories and its runner's process tree, started as a provider does. */
export class RunnerSandbox {
  readonly root: string
  readonly workspace: string
  readonly state: string
  readonly #runner: string
  #child: ChildProcess | null = null
  #log = ""

  constructor(root: string, runner: string) {
    this.root = root
    this.#runner = runner
    this.workspace = join(root, "workspace")
    this.state = join(root, "state")
    for (const path of [this.workspace, this.state, join(root, "home"), join(root, "tmp")]) {
      mkdirSync(path, { recursive: true })
    }
  }

  /** What the runner wrote. */
  get log(): string {
    return this.#log
  }

  start(spec: SandboxSpec): void {
    const specPath = join(this.root, "spec.json")
    writeFileSync(specPath, JSON.stringify(spec))
    const child = spawn(bun, [this.#runner], {
      cwd: this.workspace,
      detached: true,
      env: {
        PATH: process.env.PATH,
        HOME: join(this.root, "home"),
        TMPDIR: join(this.root, "tmp"),
        LANG: "C.UTF-8",
        AGENT_OPS_SPEC: specPath,
        AGENT_OPS_STATE_DIR: this.state,
        WORKSPACE_DIR: this.workspace,
        OPENCODE_BIN: opencode,
      },
      stdio: ["ignore", "pipe", "pipe"],
    })
    endWithTests(child)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        this.#log += chunk
      })
    }
    this.#child = child
  }

  /** Resolves with the supervisor's exit code once it has ended. */
  async ended(): Promise<number | null> {
    const child = this.#running()
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
    return child.exitCode
  }

  signalSupervisor(signal: NodeJS.Signals): void {
    this.#running().kill(signal)
  }

  /** Pid of the runner that the supervisor has started. */
  runnerPid(): number | undefined {
    return this.#processes().find(({ command }) => command.endsWith("runner.js\0run\0"))?.pid
  }

  /** What runs for this sandbox, by the state directory in its environment. */
  commands(): string[] {
    return this.#processes().map(({ command }) => command.replaceAll("\0", " "))
  }

  /** Kills whatever is left. */
  destroy(): void {
    for (const { pid } of this.#processes()) {
      try {
        process.kill(pid, "SIGKILL")
      } catch (error) {
        const gone = error instanceof Error && "code" in error && error.code === "ESRCH"
        if (!gone) throw error
      }
    }
  }

  #running(): ChildProcess {
    if (!this.#child) throw new Error("The runner was not started.")
    return this.#child
  }

  #processes(): { pid: number; command: string }[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const environment = readProc(name, "environ")
        const command = readProc(name, "cmdline")
        const own = environment.includes(`AGENT_OPS_STATE_DIR=${this.state}\0`)
        return own && command !== "" ? [{ pid: Number(name), command }] : []
      })
  }
}

/** Empty when the process is gone. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
  } catch {
    return ""
  }
}

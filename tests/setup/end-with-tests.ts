import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const SCRIPT = fileURLToPath(new URL("./reaper.ts", import.meta.url))

let reaper: ChildProcess | undefined

/** Sees to it that a child's process group ends also when the tests are killed before they end it themselves. */
export function endWithTests(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  tell(`begins ${pid}`)
  child.once("exit", () => tell(`ended ${pid}`))
}

/** The same for the agent that the runner's own code keeps, which notes in `scratch` how it is found. */
export function endAgentWithTests(scratch: string): void {
  tell(`agent ${scratch}`)
}

function tell(line: string): void {
  reaper ??= startReaper()
  reaper.stdin?.write(`${line}\n`)
}

function startReaper(): ChildProcess {
  // A group of its own: whoever kills the tests' group leaves it to clean up.
  const child = spawn(process.execPath, [SCRIPT], {
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  })
  child.unref()
  return child
}

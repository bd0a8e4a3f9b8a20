import { join } from "node:path"
import { killLeftOver } from "./agent/left-over.ts"
import { AGENT_DIRECTORY, boot } from "./boot.ts"
import { type RunnerEnvironment, readEnvironment } from "./env.ts"
import { EXIT } from "./exit-code.ts"
import { openBunSocket } from "./link/bun-socket.ts"
import type { Log } from "./log.ts"
import { Runner } from "./runner.ts"
import { supervise } from "./supervise.ts"
import { openWorkspace } from "./workspace/workspace.ts"

/** A runner that is told to stop ends by then, however its parts behave. */
const STOP_MS = 4_500

const log: Log = (message, facts) => {
  console.log(JSON.stringify({ at: new Date().toISOString(), pid: process.pid, message, ...facts }))
}

const stop = new AbortController()
process.on("SIGTERM", () => stop.abort(new Error("The runner was told to stop.")))
process.on("SIGINT", () => stop.abort(new Error("The runner was told to stop.")))

const isRunner = process.argv[2] === "run"
const environment = environmentOrExit()
process.exit(await (isRunner ? runRunner(environment) : superviseRunner(environment)))

function environmentOrExit(): RunnerEnvironment {
  try {
    return readEnvironment()
  } catch (error) {
    log("the runner cannot start", { error: error instanceof Error ? error.message : error })
    process.exit(EXIT.misconfigured)
  }
}

function superviseRunner({ stateDirectory }: RunnerEnvironment): Promise<number> {
  const [program = "", script = ""] = process.argv
  const mark = join(stateDirectory, AGENT_DIRECTORY, "opencode.mark")
  return supervise({
    command: [program, script, "run"],
    log,
    cleanUp: () => killLeftOver(mark, log),
    stop: stop.signal,
  })
}

async function runRunner(environment: RunnerEnvironment): Promise<number> {
  // The supervisor holds the other end: when it is gone, nobody would restart or stop this process.
  process.stdin.resume().on("end", () => stop.abort(new Error("The supervisor is gone.")))
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  stop.signal.addEventListener("abort", () => {
    end(EXIT.stopped)
    setTimeout(() => process.exit(EXIT.stopped), STOP_MS)
  })
  const parts = { openSocket: openBunSocket, boot, openWorkspace }
  const runner = await Runner.start({ environment, parts, log, stop: stop.signal, end })
  const code = await ended
  log("the runner ends", { code })
  await runner.close()
  return code
}

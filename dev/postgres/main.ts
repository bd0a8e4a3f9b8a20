import { rm } from "node:fs/promises"
import { portOption, readOptions, refuse } from "../command-line.ts"
import { launchPostgres } from "./launch.ts"
import { StartError } from "./start-error.ts"

const USAGE = "main.ts --data DIR [--port N] [--throwaway]"
const WATCH_MS = 250

/**
 * Keeps a server in the foreground and prints `{url, pid}` on one line when it is ready. SIGTERM and SIGINT stop it.
 * With --throwaway it also stops when its standard input ends, which it does when its parent dies, and removes DIR.
 */
async function main(): Promise<number> {
  const { data, port, throwaway } = readArguments()
  const ended = endOfUse(throwaway)
  const server = await launchPostgres({ dataDir: data, port, isThrowaway: throwaway })
  console.log(JSON.stringify({ url: server.url, pid: server.pid }))
  const reason = await Promise.race([ended, death(server.isAlive)])
  await server.stop()
  if (throwaway) await rm(data, { recursive: true, force: true })
  if (reason === "asked") return 0
  console.error(`PostgreSQL (process ${server.pid}) ended by itself; see ${data}/postgres.log`)
  return 1
}

function readArguments() {
  const { data, port, throwaway } = readOptions(
    {
      data: { type: "string", default: "" },
      port: { type: "string", default: "0" },
      throwaway: { type: "boolean", default: false },
    },
    USAGE,
  )
  if (!data) refuse(`--data is missing; name the directory of the server's files. Usage: ${USAGE}`)
  return { data, port: portOption(port) || undefined, throwaway }
}

function endOfUse(isBoundToStdin: boolean): Promise<"asked"> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve("asked"))
    process.once("SIGINT", () => resolve("asked"))
    if (isBoundToStdin) process.stdin.once("close", () => resolve("asked")).resume()
  })
}

function death(isAlive: () => boolean): Promise<"died"> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isAlive()) return
      clearInterval(timer)
      resolve("died")
    }, WATCH_MS)
  })
}

try {
  process.exit(await main())
} catch (error) {
  console.error(error instanceof StartError ? error.message : error)
  process.exit(1)
}

import { join } from "node:path"
import { ROOT } from "./stack/builds.ts"
import { firstPort } from "./stack/first-port.ts"
import { startStack } from "./stack/stack.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const given = process.env.PORT ?? "3000"
const port = firstPort(given)
if (port === null) {
  console.error(
    `PORT is "${given}", which is no port. Set it to the first of four free ports, for example 3000, or leave it out.`,
  )
  process.exit(2)
}

const stop = stopSignal()
try {
  const stack = await startStack({
    home: process.env.AGENT_OPS_HOME || join(ROOT, ".local"),
    port,
    databaseUrl: process.env.DATABASE_URL,
    hotReload: true,
    say: (line) => console.log(line),
  })
  if (!stop.aborted) {
    const { url, apiKey, home } = stack.line
    console.log(`Agent Ops runs at ${url}`)
    console.log(`API key for local use: ${apiKey}`)
    console.log(`Logs: ${join(home, "logs")}. Stop with Ctrl-C.`)
    await aborted(stop)
  }
  await stack.stop()
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

import { join } from "node:path"
import { giveUp, refuse, takeNoOptions } from "./command-line.ts"
import { ROOT } from "./stack/builds.ts"
import { firstPort } from "./stack/first-port.ts"
import { startStack } from "./stack/stack.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

takeNoOptions("npm run dev; it takes its first port from PORT and its home from AGENT_OPS_HOME")
const given = process.env.PORT ?? "3000"
const port = firstPort(given)
if (port === null) {
  refuse(
    `PORT is "${given}", which is no port. Set it to the first of four free ports, for example 3000, or leave it out.`,
  )
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
  giveUp(error)
}

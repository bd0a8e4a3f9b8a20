import { giveUp, readOptions, refuse } from "./command-line.ts"
import { firstPort } from "./stack/first-port.ts"
import { startStack } from "./stack/stack.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const USAGE = "npm run stack -- --home DIR --port N [--model scripted]"
const { home, port, model } = readOptions(
  {
    home: { type: "string", default: "" },
    port: { type: "string", default: "" },
    model: { type: "string", default: "scripted" },
  },
  USAGE,
)
if (!home) {
  refuse(`--home is missing; name the directory that holds all of this stack. Usage: ${USAGE}`)
}
const first = firstPort(port)
if (first === null) {
  refuse(
    `--port is "${port}", which is no first port. Give the first of four free ports, 1 to 65530, for example 3000. Usage: ${USAGE}`,
  )
}
if (model !== "scripted") {
  refuse(
    `--model ${model} is not known. Only the scripted model runs locally; for a real one set its provider's key, for example ANTHROPIC_API_KEY, and choose it per session.`,
  )
}

const stop = stopSignal()
try {
  const stack = await startStack({
    home,
    port: first,
    databaseUrl: process.env.DATABASE_URL,
    say: (line) => console.error(line),
  })
  if (!stop.aborted) {
    console.log(JSON.stringify(stack.line))
    await aborted(stop)
  }
  await stack.stop()
  process.exit(0)
} catch (error) {
  giveUp(error)
}

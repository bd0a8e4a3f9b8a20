import { parseArgs } from "node:util"
import { firstPort } from "./stack/first-port.ts"
import { startStack } from "./stack/stack.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const { values } = parseArgs({
  options: {
    home: { type: "string" },
    port: { type: "string" },
    model: { type: "string", default: "scripted" },
  },
})
const port = firstPort(values.port ?? "")
if (!values.home || port === null) {
  console.error("Usage: npm run stack -- --home DIR --port N [--model scripted]")
  process.exit(2)
}
if (values.model !== "scripted") {
  console.error(
    `--model ${values.model} is not known. Only the scripted model runs locally; for a real one set its provider's key, for example ANTHROPIC_API_KEY, and choose it per session.`,
  )
  process.exit(2)
}

const stop = stopSignal()
try {
  const stack = await startStack({
    home: values.home,
    port,
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
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

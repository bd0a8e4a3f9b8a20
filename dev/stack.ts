import { parseArgs } from "node:util"
import { startStack } from "./stack/stack.ts"

const { values } = parseArgs({
  options: {
    home: { type: "string" },
    port: { type: "string" },
    model: { type: "string", default: "scripted" },
  },
})
const port = Number(values.port)
if (!values.home || !Number.isInteger(port) || port < 1 || port > 65_530) {
  console.error("Usage: npm run stack -- --home DIR --port N [--model scripted]")
  process.exit(2)
}
if (values.model !== "scripted") {
  console.error(
    `--model ${values.model} is not known. Only the scripted model runs locally; for a real one set its provider's key, for example ANTHROPIC_API_KEY, and choose it per session.`,
  )
  process.exit(2)
}

const stop = new AbortController()
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(name, () => stop.abort())

try {
  const stack = await startStack({
    home: values.home,
    port,
    databaseUrl: process.env.DATABASE_URL,
    say: (line) => console.error(line),
  })
  if (!stop.signal.aborted) {
    console.log(JSON.stringify(stack.line))
    await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }))
  }
  await stack.stop()
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

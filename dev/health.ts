const address = process.argv[2] ?? process.env.APP_URL ?? "http://localhost:3000"
const deadlineMs = 10_000

/** Prints what a running server says of its parts; succeeds only when all of them are up. */
try {
  const response = await fetch(new URL("/api/health", address), {
    signal: AbortSignal.timeout(deadlineMs),
  })
  const text = await response.text()
  console.log(response.headers.get("content-type")?.includes("json") ? indented(text) : text)
  if (!response.ok) {
    console.error(`${address} is not healthy (HTTP ${response.status})`)
    process.exitCode = 1
  }
} catch (error) {
  const reason = error instanceof Error && error.name === "TimeoutError" ? "in 10 s" : "at all"
  console.error(
    `${address} does not answer ${reason}. Start it with \`make dev\`, or name another: \`make health URL=http://…\``,
  )
  process.exitCode = 1
}

function indented(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 2)
}

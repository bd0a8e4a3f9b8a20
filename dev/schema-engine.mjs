#!/usr/bin/env node
/**
 * Stands in for Prisma's native schema engine, which the Prisma CLI would download: the same arguments and the same
 * JSON-RPC over stdio, answered by the WASM engine from npm over the `pg` driver. prisma.config.ts names it in
 * PRISMA_SCHEMA_ENGINE_BINARY; setting that variable to a native binary switches back. What the WASM engine and
 * its driver do differently is mended in dev/schema-engine/.
 */
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { canConnect, createDatabase, dropDatabase } from "./schema-engine/databases.mjs"
import { createEngine } from "./schema-engine/engine.mjs"
import { toPrismaError } from "./schema-engine/prisma-error.mjs"

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    datamodels: { type: "string", multiple: true },
    datasource: { type: "string" },
    version: { type: "boolean", short: "V" },
  },
})
const datasource = options.datasource ? JSON.parse(options.datasource) : {}

if (options.version) {
  console.log("schema-engine-cli wasm")
} else if (positionals[0] === "cli") {
  process.exitCode = await runCommand(positionals[1])
} else {
  await serve()
}

/** A one-off command answers with its exit code, and with a JSON line on stderr when it fails. */
async function runCommand(name) {
  const commands = {
    "can-connect-to-database": canConnect,
    "create-database": createDatabase,
    "drop-database": dropDatabase,
  }
  try {
    await commands[name](datasource.url)
    return 0
  } catch (error) {
    process.stderr.write("\n") // The CLI skips the first line, where the native engine says something else.
    log({ level: "ERROR", fields: toPrismaError(error, datasource.url) })
    return 1
  }
}

/** Answers requests one after the other until the CLI closes the pipe. */
async function serve() {
  const engine = createEngine(datasource, options.datamodels ?? [], log)
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.trim()) continue
    const { id, method, params } = JSON.parse(line)
    if (!method) continue
    try {
      send({ id, result: await answer(engine, id, method, params) })
    } catch (error) {
      const data = toPrismaError(error, datasource.url)
      send({ id, error: { code: 4466, message: "An error happened; see its data.", data } })
    }
  }
  process.exit(0)
}

async function answer(engine, id, method, params) {
  if (method === "createDatabase") return createDatabase(datasource.url)
  if (method !== "diff") return engine.call(method, params)
  // The native engine has the CLI print the difference, and answers with the exit code alone.
  const { exitCode, stdout } = await engine.call("diff", params)
  if (stdout !== null) send({ id: 1e6 + id, method: "print", params: { content: stdout } })
  return { exitCode, stdout: null }
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
}

/** The CLI reads stderr line by line and shows what has the shape of the native engine's log. */
function log(record) {
  const timestamp = new Date().toISOString()
  const line = { timestamp, target: "schema_engine::logger", ...record }
  process.stderr.write(`${JSON.stringify(line)}\n`)
}

import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils"
import { ConnectionFactory } from "./connection-factory.mjs"
import { failedMigration } from "./prisma-error.mjs"

/** The WASM engine, loaded at the first call. `log` gets its log records. */
export function createEngine(datasource, schemaPaths, log) {
  const connections = new ConnectionFactory(datasource)
  let loading
  let isHistoryStale = false
  return {
    async call(method, params) {
      loading ??= load(connections, schemaPaths, log)
      const engine = await loading
      if (method === "evaluateDataLoss" && isHistoryStale) await rememberHistory(engine, params)
      if (method === "applyMigrations") {
        const applied = await applyMigrations(engine, params, connections)
        isHistoryStale = applied.appliedMigrationNames.length > 0
        return applied
      }
      const name = method === "getDatabaseVersion" ? "version" : method
      if (!engine[name]) throw new Error(`The WASM schema engine has no method ${method}.`)
      return (await engine[name](params)) ?? null
    },
  }
}

async function applyMigrations(engine, params, connections) {
  try {
    return await engine.applyMigrations(params)
  } catch (error) {
    if (error.code || !connections.scriptError) throw error
    throw failedMigration(error, connections.scriptError)
  }
}

/**
 * evaluateDataLoss wants the schema that the migration files lead to, but cannot make a shadow database itself
 * ("PostgreSQL shadow DB must be provided through an external factory"). It takes the schema from a cache that
 * devDiagnostic fills for the migrations that are applied; when some were applied since, it has to be filled again.
 */
async function rememberHistory(engine, { migrationsList, filters }) {
  await engine.devDiagnostic({ migrationsList, filters })
}

async function load(connections, schemaPaths, log) {
  const bindings = await import("@prisma/schema-engine-wasm/schema_engine_bg")
  const wasmPath = createRequire(import.meta.url)
    .resolve("@prisma/schema-engine-wasm/schema_engine_bg")
    .replace(/\.js$/, ".wasm")
  const { instance } = await WebAssembly.instantiate(await readFile(wasmPath), {
    "./schema_engine_bg.js": bindings,
  })
  bindings.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  globalThis.PRISMA_WASM_PANIC_REGISTRY = {
    set_message: (message) => log({ level: "ERROR", fields: { is_panic: true, message } }),
  }

  const datamodels = await Promise.all(
    schemaPaths.map(async (path) => [path, await readFile(path, "utf8")]),
  )
  return bindings.SchemaEngine.new(
    { datamodels: datamodels.length > 0 ? datamodels : undefined },
    (record) => log(JSON.parse(record)),
    bindMigrationAwareSqlAdapterFactory(connections),
  )
}

import { join } from "node:path"
import { build } from "esbuild"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"

/** Runs the bare Durable Object in workerd: `node bare-object.server.ts <flush ms> <persist dir>`. */
const [flushMs = "16", persistDir = ""] = process.argv.slice(2)
const { outputFiles } = await build({
  entryPoints: [join(import.meta.dirname, "bare-object.worker.ts")],
  bundle: true,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:*"],
  write: false,
})
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    modules: [{ type: "ESModule", path: "worker.js", contents: outputFiles[0]?.text ?? "" }],
    compatibilityDate: "2026-11-01",
    bindings: { FLUSH_MS: flushMs },
    durableObjects: { Relay: { className: "Relay", useSQLite: true } },
  }),
  resourcePersistencePath: persistDir,
})
const { origin } = await miniflare.ready
console.log(JSON.stringify({ url: origin }))

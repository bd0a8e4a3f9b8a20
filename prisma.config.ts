import { fileURLToPath } from "node:url"
import { defineConfig } from "prisma/config"

// The native engine would be downloaded at every first use; the one from npm works offline.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= fileURLToPath(
  new URL("./dev/schema-engine.mjs", import.meta.url),
)

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations", seed: "node dev/db/seed.ts" },
  datasource: { url: process.env.DATABASE_URL ?? "" },
})

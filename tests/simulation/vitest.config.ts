import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Whole histories in one process on a clock of their own: nothing waits, so time says nothing here. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["tests/simulation/**/*.test.ts"],
    setupFiles: ["tests/simulation/virtual-node-setup.ts"],
    globalSetup: ["tests/setup/database-server.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Whole histories in one process on a clock of their own: time says nothing here but how busy the machine is. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["tests/simulation/**/*.test.ts"],
    setupFiles: ["tests/simulation/virtual-node-setup.ts"],
    globalSetup: ["tests/setup/database-server.ts"],
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
})

import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Real processes on two cores: one file at a time, so that a deadline measures the product and not its neighbours. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["tests/faults/**/*.test.ts"],
    globalSetup: ["tests/faults/sweep.ts"],
    setupFiles: ["tests/faults/keep-logs.ts"],
    fileParallelism: false,
    maxConcurrency: 15,
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
})

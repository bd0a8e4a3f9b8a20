import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Real processes on two cores: one file at a time, so that a deadline measures the product and not its neighbours. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["tests/integration/**/*.test.ts"],
    globalSetup: ["tests/setup/database-server.ts"],
    fileParallelism: false,
    // The last resort: every wait has a deadline of its own, which says what was waited for.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})

import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Files that boot whole stacks and are not green on a loaded machine yet: `make faults` sets ALL_STACKS and runs them. */
const UNSTEADY = ["bad-models", "bad-repositories", "canary", "spine", "spine-api", "spine-start"]
const left = process.env.ALL_STACKS ? [] : UNSTEADY

/** Real processes on two cores: one file at a time, so that a deadline measures the product and not its neighbours. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["tests/integration/**/*.test.ts"],
    exclude: left.map((file) => `tests/integration/${file}.test.ts`),
    globalSetup: ["tests/setup/database-server.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

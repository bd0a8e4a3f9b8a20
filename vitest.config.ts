import { defineConfig } from "vitest/config"

/** The quick tests beside the code. tests/integration and tests/faults have their own configurations. */
export default defineConfig({
  test: {
    include: ["{app,server,party,runner,dev,prisma,tests/unit}/**/*.test.{ts,tsx}"],
    globalSetup: ["tests/setup/database-server.ts"],
    passWithNoTests: false,
    testTimeout: 15_000,
  },
})

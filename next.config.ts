import type { NextConfig } from "next"

const config: NextConfig = {
  poweredByHeader: false,
  // `make verify` checks the types of the whole repository; a build need not do it again, nor wait for the tests'.
  typescript: { ignoreBuildErrors: true, tsconfigPath: "app/tsconfig.json" },
  rewrites: async () => [{ source: "/health", destination: "/api/health" }],
  turbopack: { root: import.meta.dirname },
}

export default config

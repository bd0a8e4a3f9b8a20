import { env } from "./server/env.ts"

/** Runs once when the server starts. One whose environment is not complete says so and ends, instead of failing each call. */
export function register(): void {
  try {
    env()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}

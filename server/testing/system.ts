import { afterAll } from "vitest"
import type { Settings } from "../domain/context.ts"
import { type TestSystem, testSystem } from "./context.ts"
import { testDatabase } from "./database.ts"

/** A system on the test database, for one test file. */
export async function freshSystem(settings?: Partial<Settings>): Promise<TestSystem> {
  const db = await testDatabase()
  afterAll(() => db.$disconnect())
  return testSystem(db, settings)
}

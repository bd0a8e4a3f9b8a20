import type { Entry } from "#protocol/entry"
import type { SimulatedWorld } from "../simulated-world.ts"

export type EndOfHistory = {
  world: SimulatedWorld
  /** PostgreSQL's timeline by key. */
  entries: Map<string, Entry>
  prompts: Awaited<ReturnType<SimulatedWorld["backend"]["db"]["prompt"]["findMany"]>>
  attempts: Awaited<ReturnType<SimulatedWorld["backend"]["db"]["attempt"]["findMany"]>>
  session: Awaited<ReturnType<SimulatedWorld["backend"]["db"]["session"]["findUniqueOrThrow"]>>
  changes: Awaited<ReturnType<SimulatedWorld["backend"]["db"]["statusChange"]["findMany"]>>
  /** The changes that PostgreSQL keeps, one per turn. */
  diffs: Awaited<ReturnType<SimulatedWorld["backend"]["db"]["turnDiff"]["findMany"]>>
}

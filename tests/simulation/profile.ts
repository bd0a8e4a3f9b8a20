import type { Random } from "./kernel/random.ts"
import type { MachineTemper } from "./parts/machine.ts"
import type { AgentTemper } from "./parts/model-agent.ts"
import type { Deed } from "./parts/person.ts"

export type Accident =
  | "connection breaks"
  | "route is lossy"
  | "route is slow"
  | "route repeats"
  | "route is down"
  | "room crashes"
  | "room dies amid effects"
  | "room hibernates"
  | "web crashes"
  | "worker crashes"
  | "runner is killed"
  | "machine is lost"
  | "agent dies"
  | "database is away"
  | "viewer comes or goes"
  | "viewer reloads"
  | "everything crashes"

/** What one history is made of. */
export type Profile = {
  /** How long people and accidents go on. */
  lengthMs: number
  /** Time between two accidents, on average. */
  accidentEveryMs: number
  accidents: Partial<Record<Accident, number>>
  deedEveryMs: number
  deeds: Partial<Record<Deed, number>>
  viewers: { readMs: number; pageLimit: number }[]
  machines: MachineTemper
  /** Chance that a statement is done but its confirmation is lost. */
  unconfirmed: number
}

const EVERYTHING: Record<Accident, number> = {
  "connection breaks": 12,
  "route is lossy": 5,
  "route is slow": 4,
  "route repeats": 4,
  "route is down": 6,
  "room crashes": 5,
  "room dies amid effects": 6,
  "room hibernates": 6,
  "web crashes": 4,
  "worker crashes": 4,
  "runner is killed": 5,
  "machine is lost": 3,
  "agent dies": 3,
  "database is away": 3,
  "viewer comes or goes": 8,
  "viewer reloads": 2,
  "everything crashes": 1,
}

export const ACCIDENTS = Object.keys(EVERYTHING) as Accident[]

/** Each history has its own few kinds of trouble, so that some meet again and again. */
export function drawProfile(random: Random): Profile {
  const focus = random.int(3, 17)
  const names = shuffled(random, ACCIDENTS).slice(0, focus)
  const accidents = Object.fromEntries(names.map((name) => [name, EVERYTHING[name]]))
  return {
    lengthMs: random.int(6_000, random.pick([20_000, 20_000, 45_000, 90_000])),
    accidentEveryMs: random.pick([800, 2_500, 6_000, 15_000, 60_000]),
    accidents,
    deedEveryMs: random.pick([1_000, 3_000, 6_000, 15_000]),
    deeds: {
      send: 10,
      steer: random.pick([0, 0, 3]),
      "send-again": 3,
      withdraw: 2,
      edit: 2,
      promote: 2,
      stop: 4,
      retry: 4,
      wake: 3,
      terminate: random.chance(0.15) ? 1 : 0,
    },
    viewers: Array.from({ length: random.int(1, 3) }, () => ({
      readMs: random.pick([0, 0, 5, 400]),
      pageLimit: random.pick([3, 20, 500]),
    })),
    machines: {
      agent: drawTemper(random),
      bootFails: random.pick([0, 0, 0.1, 0.4]),
      bootHangs: random.pick([0, 0, 0, 0.1]),
    },
    unconfirmed: random.pick([0, 0, 0.003, 0.02]),
  }
}

function drawTemper(random: Random): AgentTemper {
  const troubled = random.chance(0.5)
  return {
    turns: troubled
      ? {
          works: 10,
          refused: 1,
          silent: 1,
          retries: 1,
          "breaks-off": 1,
          "never-begins": 1,
          dies: 1,
        }
      : { works: 1 },
    sizes: random.pick([
      { pieces: 5, pieceChars: 12, outputChars: 40 },
      { pieces: 5, pieceChars: 12, outputChars: 40 },
      { pieces: 12, pieceChars: 12, outputChars: 40 },
      { pieces: 30, pieceChars: 150, outputChars: 1_500 },
    ]),
    noAnswer: random.pick([0, 0, 0.02, 0.1]),
    gaps: random.pick([0, 0, 0.3]),
    stubborn: random.pick([0, 0.1, 0.5]),
  }
}

/** Nothing goes wrong any more. */
export const CALM: MachineTemper = {
  agent: {
    turns: { works: 1 },
    sizes: { pieces: 3, pieceChars: 12, outputChars: 40 },
    noAnswer: 0,
    gaps: 0,
    stubborn: 0,
  },
  bootFails: 0,
  bootHangs: 0,
}

function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  const drawn: Item[] = []
  const left = [...items]
  while (left.length > 0) drawn.push(...left.splice(random.int(0, left.length - 1), 1))
  return drawn
}

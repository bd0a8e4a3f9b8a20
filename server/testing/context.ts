import { generateKeyPairSync, randomBytes } from "node:crypto"
import { mintId } from "#protocol/ids"
import { signTicket } from "../auth/tokens.ts"
import type { Database } from "../db.ts"
import type { Actor, DomainContext, Settings, SystemContext } from "../domain/context.ts"
import { createLog } from "../log.ts"
import { RecordingRooms } from "./recording-rooms.ts"

export const TEST_SETTINGS: Settings = {
  local: true,
  modelProviders: ["scripted"],
  compatibleModels: [],
  sandboxProvider: "in-memory",
  roomsPublicUrl: "http://127.0.0.1:3001",
  sandboxReadyMs: 180_000,
  turn: { acceptMs: 15_000, startMs: 120_000, silenceMs: 300_000, turnMs: 3_600_000 },
}

/** Time that stands still until a test moves it. */
export class TestClock {
  #nowMs = Date.parse("2026-11-22T10:00:00.000Z")

  now = (): Date => new Date(this.#nowMs)

  advance(ms: number): void {
    this.#nowMs += ms
  }
}

export type TestSystem = SystemContext & {
  rooms: RecordingRooms
  clock: TestClock
  /** Lines of the log. */
  logged: string[]
}

/** A system on `db` with its own clock, keys and rooms. */
export function testSystem(db: Database, settings: Partial<Settings> = {}): TestSystem {
  const { privateKey } = generateKeyPairSync("ed25519")
  const clock = new TestClock()
  const logged: string[] = []
  return {
    db,
    rooms: new RecordingRooms(),
    clock,
    logged,
    log: createLog("debug", (line) => logged.push(line)),
    settings: { ...TEST_SETTINGS, ...settings },
    now: clock.now,
    mint: (prefix) => mintId(prefix, clock.now().getTime(), randomBytes(16)),
    signTicket: (ticket) => signTicket(privateKey, ticket, clock.now()),
  }
}

export type TestContext = TestSystem & DomainContext

/** The same system as seen by one actor. */
export const actingAs = (system: TestSystem, actor: Actor): TestContext => ({ ...system, actor })

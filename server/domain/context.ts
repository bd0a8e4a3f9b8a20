import type { IdPrefix } from "#protocol/ids"
import type { MemberRole } from "../../prisma/generated/enums.ts"
import type { Ticket } from "../auth/tokens.ts"
import type { Database } from "../db.ts"
import type { ModelProvider } from "../env.ts"
import type { Log } from "../log.ts"
import type { RoomsPort } from "../rooms/port.ts"

export type Scope = "read" | "write" | "admin"

/** Who asks: one person in one team. `scopes` are what the key or browser session they came with may be used for. */
export type Actor = {
  userId: string
  name: string
  teamId: string
  role: MemberRole
  scopes: readonly Scope[]
}

/** What verbs know of the deployment. */
export type Settings = {
  /** Stand-ins, file:// and loopback repositories are allowed. */
  local: boolean
  modelProviders: readonly ModelProvider[]
  compatibleModels: readonly string[]
  sandboxProvider: string
  roomsPublicUrl: string
  sandboxReadyMs: number
  turn: { acceptMs: number; startMs: number; silenceMs: number; turnMs: number }
}

/** What every verb is handed. Jobs and rooms' posts run with this alone: they act for the system. */
export type SystemContext = {
  db: Database
  rooms: RoomsPort
  log: Log
  settings: Settings
  now(): Date
  mint(prefix: IdPrefix): string
  signTicket(ticket: Ticket): Promise<string>
}

export type DomainContext = SystemContext & { actor: Actor }

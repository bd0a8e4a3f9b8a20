import { randomBytes } from "node:crypto"
import { mintId } from "#protocol/ids"
import { signingKey } from "./auth/keys.ts"
import { signTicket } from "./auth/tokens.ts"
import { database } from "./db.ts"
import type { Settings, SystemContext } from "./domain/context.ts"
import { type Env, env } from "./env.ts"
import { log } from "./log.ts"
import { roomsClient } from "./rooms/client.ts"

const RANDOM_BYTES = 16

let shared: SystemContext | undefined

/** The process's context, built from the environment at first use. */
export function system(): SystemContext {
  shared ??= buildSystem(env())
  return shared
}

function buildSystem(variables: Env): SystemContext {
  const key = signingKey(variables.SERVER_SIGNING_KEY)
  const now = () => new Date()
  return {
    db: database(),
    rooms: roomsClient({ url: variables.ROOMS_URL, key, now }),
    log: log(),
    settings: readSettings(variables),
    now,
    mint: (prefix) => mintId(prefix, Date.now(), randomBytes(RANDOM_BYTES)),
    signTicket: (ticket) => signTicket(key, ticket, now()),
  }
}

/** The part of the environment that verbs decide by. */
export function readSettings(variables: Env): Settings {
  return {
    local: variables.AGENT_OPS_LOCAL,
    modelProviders: variables.MODEL_PROVIDERS,
    compatibleModels: variables.COMPATIBLE_MODELS,
    sandboxProvider: variables.SANDBOX_PROVIDER,
    roomsPublicUrl: variables.ROOMS_PUBLIC_URL,
    sandboxReadyMs: variables.SANDBOX_READY_DEADLINE_SECONDS * 1_000,
    turn: {
      acceptMs: variables.TURN_ACCEPT_DEADLINE_SECONDS * 1_000,
      startMs: variables.TURN_START_DEADLINE_SECONDS * 1_000,
      silenceMs: variables.TURN_SILENCE_DEADLINE_SECONDS * 1_000,
      turnMs: variables.TURN_DEADLINE_SECONDS * 1_000,
    },
  }
}

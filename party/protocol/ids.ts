import * as z from "zod"

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
const TIME_CHARS = 10
const RANDOM_CHARS = 16

const prefixed = <Prefix extends string>(prefix: Prefix) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{8,40}$`), `must be an id such as ${prefix}_01h…`)

export const sessionIdSchema = prefixed("ses").brand<"SessionId">()
export const teamIdSchema = prefixed("team").brand<"TeamId">()

/** Callers mint prompt ids themselves (they double as idempotency keys), so any short plain name will do. */
export const promptIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1–64 of the characters A–Z a–z 0–9 _ -")
  .brand<"PromptId">()

export type SessionId = z.infer<typeof sessionIdSchema>
export type TeamId = z.infer<typeof teamIdSchema>
export type PromptId = z.infer<typeof promptIdSchema>

export type IdPrefix = "ses" | "team" | "usr" | "prm" | "key" | "grt" | "call"

/**
 * A prefixed id that sorts by its creation time: 48 bits of milliseconds, then 80 random bits.
 * `random` holds at least 16 bytes, of which 5 bits each are used.
 */
export function mintId(prefix: IdPrefix, nowMs: number, random: Uint8Array): string {
  let time = ""
  for (let rest = nowMs, i = 0; i < TIME_CHARS; i++) {
    time = ALPHABET.charAt(rest % 32) + time
    rest = Math.floor(rest / 32)
  }
  let tail = ""
  for (let i = 0; i < RANDOM_CHARS; i++) tail += ALPHABET.charAt((random[i] ?? 0) % 32)
  return `${prefix}_${time}${tail}`
}

import { createHash, randomBytes } from "node:crypto"

/** `ao_<prefix>_<secret>`: the prefix names the key in lists, the secret is 32 random bytes. */
const KEY_TEXT = /^ao_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/

export function mintKeyText(): { prefix: string; secret: string } {
  const prefix = `ao_${randomBytes(4).toString("hex")}`
  return { prefix, secret: `${prefix}_${randomBytes(32).toString("base64url")}` }
}

export const isKeyText = (text: string): boolean => KEY_TEXT.test(text)

/** What is stored of a key. A plain hash suffices: the key itself is random. */
export const hashKey = (secret: string): string => createHash("sha256").update(secret).digest("hex")

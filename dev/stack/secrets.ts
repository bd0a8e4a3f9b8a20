import { createPublicKey, randomBytes } from "node:crypto"
import { readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as z from "zod"
import { signingKey } from "../../server/auth/keys.ts"
import { mintKeyText } from "../../server/domain/api-keys/key-text.ts"

const secretsSchema = z.object({
  serverSigningKey: z.string(),
  serverVerifyKey: z.string(),
  roomsSigningKey: z.string(),
  roomsVerifyKey: z.string(),
  apiKey: z.string(),
})
export type StackSecrets = z.infer<typeof secretsSchema>

/** The keys of one local stack: made on first use, kept in its home, readable by its owner only. */
export function stackSecrets(home: string): StackSecrets {
  const path = join(home, "secrets.json")
  try {
    return secretsSchema.parse(JSON.parse(readFileSync(path, "utf8")))
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  }
  const server = keyPair()
  const rooms = keyPair()
  const secrets = {
    serverSigningKey: server.seed,
    serverVerifyKey: server.publicKey,
    roomsSigningKey: rooms.seed,
    roomsVerifyKey: rooms.publicKey,
    apiKey: mintKeyText().secret,
  }
  writeFileSync(`${path}.new`, JSON.stringify(secrets), { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return secrets
}

function keyPair(): { seed: string; publicKey: string } {
  const seed = randomBytes(32).toString("base64")
  const { x } = createPublicKey(signingKey(seed)).export({ format: "jwk" })
  if (!x) throw new Error("An Ed25519 key exported without its public part")
  return { seed, publicKey: Buffer.from(x, "base64url").toString("base64") }
}

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"

/** DER headers of an Ed25519 private key (PKCS #8) and public key (SPKI); the 32 raw bytes follow. */
const PRIVATE_HEADER = Buffer.from("302e020100300506032b657004220420", "hex")
const PUBLIC_HEADER = Buffer.from("302a300506032b6570032100", "hex")

/** The private key of a 32-byte seed in base64. */
export function signingKey(seed: string): KeyObject {
  const der = Buffer.concat([PRIVATE_HEADER, Buffer.from(seed, "base64")])
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
}

/** The public key of its 32 raw bytes in base64. */
export function verifyKey(raw: string): KeyObject {
  const der = Buffer.concat([PUBLIC_HEADER, Buffer.from(raw, "base64")])
  return createPublicKey({ key: der, format: "der", type: "spki" })
}

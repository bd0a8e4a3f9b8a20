const PKCS8_ED25519_PREFIX = "302e020100300506032b657004220420"

/** The public key whose 32 bytes stand in base64. */
export function verifyKey(base64: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes(base64), { name: "Ed25519" }, false, ["verify"])
}

/** The private key whose 32-byte seed stands in base64. WebCrypto takes a bare seed only inside PKCS #8. */
export function signingKey(base64: string): Promise<CryptoKey> {
  const hex = PKCS8_ED25519_PREFIX.match(/../g) ?? []
  const prefix = hex.map((byte) => Number.parseInt(byte, 16))
  const pkcs8 = new Uint8Array([...prefix, ...bytes(base64)])
  return crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, false, ["sign"])
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
}

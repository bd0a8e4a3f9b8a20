import { generateKeyPairSync } from "node:crypto"
import { takeNoOptions } from "./command-line.ts"

takeNoOptions("npm run keys")

/** Prints two fresh Ed25519 key pairs as the lines that .env.example asks for. */
for (const name of ["SERVER", "ROOMS"]) {
  const { d = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })
  console.log(`${name}_SIGNING_KEY=${base64(d)}`)
  console.log(`${name}_VERIFY_KEY=${base64(x)}`)
}

function base64(base64url: string): string {
  return Buffer.from(base64url, "base64url").toString("base64")
}

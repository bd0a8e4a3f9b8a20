import { createHash } from "node:crypto"

/** SHA-256 in hex of a request's fields in a fixed order, to tell a repeat from a reuse of its id. */
export function bodyHash(fields: readonly (string | null | undefined)[]): string {
  return createHash("sha256")
    .update(JSON.stringify(fields.map((field) => field ?? null)))
    .digest("hex")
}

import { authenticateApiKey } from "../domain/api-keys/index.ts"
import type { Actor, SystemContext } from "../domain/context.ts"
import { Unauthorized } from "../domain/errors.ts"

/** The actor behind a request's `Authorization: Bearer <api key>`. */
export async function authenticate(
  ctx: Pick<SystemContext, "db" | "now">,
  headers: Headers,
): Promise<Actor> {
  const secret = bearer(headers)
  if (secret === null) {
    throw new Unauthorized(
      "not-signed-in",
      "Sign in, or send an API key as Authorization: Bearer <key>.",
    )
  }
  return authenticateApiKey(ctx, secret)
}

/** The token of an `Authorization: Bearer` header. */
export function bearer(headers: Headers): string | null {
  return /^Bearer ([\x21-\x7e]+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? null
}

import type { AccessRole } from "#protocol/token"
import type { Actor } from "../context.ts"
import { Forbidden } from "../errors.ts"

/** Owners and members operate; viewers, and keys without the write scope, observe. */
export function accessRole(actor: Actor): AccessRole {
  const mayWrite = actor.scopes.includes("write") || actor.scopes.includes("admin")
  return mayWrite && actor.role !== "viewer" ? "operate" : "observe"
}

/** Throws Forbidden `read-only` for an actor that only observes. */
export function requireWrite({ actor }: { actor: Actor }): void {
  if (accessRole(actor) === "operate") return
  throw actor.role === "viewer"
    ? new Forbidden("read-only", "You are a viewer of this team. Ask an owner for the member role.")
    : new Forbidden("read-only", "This API key only reads. Use one with the write scope.")
}

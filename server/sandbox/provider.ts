import type { SandboxSpec } from "#protocol/sandbox-spec"

/** `<sessionId>-g<generation>`: the same for every provider, so a repeated create finds the first one's machine. */
export function sandboxId(sessionId: string, generation: number): string {
  return `${sessionId}-g${generation}`
}

/** Null for a name that no session ever gave. */
export function parseSandboxId(id: string): { sessionId: string; generation: number } | null {
  const [, sessionId, generation] = /^(.+)-g([1-9]\d{0,8})$/.exec(id) ?? []
  return sessionId && generation ? { sessionId, generation: Number(generation) } : null
}

export type SandboxListing = {
  id: string
  /** Time since its create began. */
  ageMs: number
}

/**
 * What makes machines. Holds nothing in memory that it needs: another process with the same configuration finds,
 * checks and ends the sandboxes that this one made.
 */
export interface SandboxProvider {
  readonly name: string
  /**
   * Resolves when the machine of `spec` runs; whether its runner is ready, the room tells. A second create of the same
   * id finds the first one's. One that is aborted or fails leaves nothing behind and throws, {@link SandboxError} for
   * what a person can act on.
   */
  create(spec: SandboxSpec, options: { signal: AbortSignal }): Promise<void>
  /** `stopped` when it was ended in good order together with the platform, `gone` when nobody knows why it is not there. */
  status(id: string): Promise<"running" | "stopped" | "gone">
  /** Resolves when nothing of it runs any more. Also for a sandbox that is gone, being created or never was. */
  terminate(id: string): Promise<void>
  /** Everything that may still hold a resource, running or half made. */
  list(): Promise<SandboxListing[]>
  /** Drops what is kept from one generation of a session to the next. Its last sandbox must be terminated. */
  forget(sessionId: string): Promise<void>
}

export type SandboxReason =
  | "disk-full"
  | "home-not-writable"
  | "runner-missing"
  | "bun-missing"
  | "agent-missing"
  | "sandbox-superseded"
  | "sandbox-terminated"
  | "sandbox-create-failed"
  | "sandbox-not-terminated"

/** `message` is a sentence for people: what went wrong and what to do. */
export class SandboxError extends Error {
  readonly reason: SandboxReason

  constructor(reason: SandboxReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "SandboxError"
    this.reason = reason
  }
}

/** The codes that domain errors map to; the names are tRPC's. */
export type ErrorCode =
  | "BAD_REQUEST"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "CONFLICT"
  | "PRECONDITION_FAILED"
  | "PAYLOAD_TOO_LARGE"
  | "SERVICE_UNAVAILABLE"

/**
 * What a caller is told: `reason` is a stable kebab-case word, `message` a sentence that says what is wrong and what
 * to do. Neither ever carries a query, a stack or a secret.
 */
export class DomainError extends Error {
  readonly code: ErrorCode
  readonly reason: string

  constructor(code: ErrorCode, reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.reason = reason
  }
}

/** The thing does not exist, or belongs to another team, which looks the same. */
export class NotFound extends DomainError {
  constructor(noun: string, id: string) {
    const message = `There is no ${noun} ${id} in your team. Check the id, or use a key of the team that has it.`
    super("NOT_FOUND", `${noun}-not-found`, message)
  }
}

export class Invalid extends DomainError {
  constructor(reason: string, message: string) {
    super("BAD_REQUEST", reason, message)
  }
}

export class Unauthorized extends DomainError {
  constructor(reason: string, message: string) {
    super("UNAUTHORIZED", reason, message)
  }
}

export class Forbidden extends DomainError {
  constructor(reason: string, message: string) {
    super("FORBIDDEN", reason, message)
  }
}

/** Somebody or something else got there first. */
export class Conflict extends DomainError {
  constructor(reason: string, message: string) {
    super("CONFLICT", reason, message)
  }
}

/** The thing is not in a state in which this can be done. */
export class Precondition extends DomainError {
  constructor(reason: string, message: string) {
    super("PRECONDITION_FAILED", reason, message)
  }
}

export class TooLarge extends DomainError {
  constructor(reason: string, message: string) {
    super("PAYLOAD_TOO_LARGE", reason, message)
  }
}

/** A part of the system cannot be reached; the same request may succeed later. */
export class Unavailable extends DomainError {
  readonly retryAfterSeconds: number

  constructor(reason: string, message: string, retryAfterSeconds = 5, options?: ErrorOptions) {
    super("SERVICE_UNAVAILABLE", reason, message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

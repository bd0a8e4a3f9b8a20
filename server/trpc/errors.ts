import { TRPCError } from "@trpc/server"
import { ZodError } from "zod"
import { asDomainError } from "../domain/as-domain-error.ts"
import { DomainError, Unavailable } from "../domain/errors.ts"

/** The error that a procedure ends with: a known one under its code, anything else without its text. */
export function toTRPCError(error: TRPCError): TRPCError {
  const known = asDomainError(error.cause)
  if (known) return new TRPCError({ code: known.code, message: known.message, cause: known })
  if (error.code !== "INTERNAL_SERVER_ERROR") return error
  return new TRPCError({
    code: "INTERNAL_SERVER_ERROR",
    message: "Something broke on our side. Try again; if it stays, tell an operator.",
    cause: error.cause,
  })
}

/** The stable word of an error: the domain's own, else one that follows from the code. */
export function reasonOf(error: TRPCError): string {
  if (error.cause instanceof DomainError) return error.cause.reason
  if (isRefusedInput(error)) return "input-invalid"
  return error.code.toLowerCase().replaceAll("_", "-")
}

/** The sentence of an error; for refused input, which field is wrong and why. */
export function messageOf(error: TRPCError): string {
  if (error.code === "BAD_REQUEST" && error.cause instanceof SyntaxError) {
    return `The request is not valid JSON: ${error.message}.`
  }
  if (error.code === "METHOD_NOT_SUPPORTED") {
    return `${error.message}. Queries are called with GET, mutations with POST.`
  }
  if (error.code === "UNSUPPORTED_MEDIA_TYPE") {
    return "The request's content type is missing or not supported. Send JSON as application/json."
  }
  if (error.code === "NOT_FOUND" && error.cause === undefined) {
    return `${error.message}. Check the procedure's name.`
  }
  if (!isRefusedInput(error)) return error.message
  const [issue] = error.cause.issues
  const field = issue?.path.join(".")
  return `The input is not valid: ${field ? `${field}: ` : ""}${issue?.message ?? "unreadable"}.`
}

export function retryAfterSeconds(error: TRPCError): number | null {
  return error.cause instanceof Unavailable ? error.cause.retryAfterSeconds : null
}

/** A ZodError behind any other code is an answer of ours that broke its own schema. */
const isRefusedInput = (error: TRPCError): error is TRPCError & { cause: ZodError } =>
  error.code === "BAD_REQUEST" && error.cause instanceof ZodError

import { databaseOf } from "./databases.mjs"

/** An error that has a code of Prisma's. */
export class PrismaError extends Error {
  constructor(code, message) {
    super(message)
    this.name = "PrismaError"
    this.code = code
  }
}

/** The error as the CLI expects it: the code decides what it says and its exit code. */
export function toPrismaError(error, url) {
  const known = isCoded(error) ? error : fromDriver(error, url)
  return {
    is_panic: false,
    message: known.message,
    meta: {},
    error_code: known.code ?? "",
  }
}

function isCoded(error) {
  return error.name === "SchemaConnectorError" || error instanceof PrismaError
}

/** What `pg` and the network say, by SQLSTATE and by Node's error codes. */
function fromDriver(error, url) {
  if (!url || typeof error.code !== "string") return error
  const { host } = new URL(url)
  const name = databaseOf(url)
  switch (error.code) {
    case "3D000":
      return new PrismaError("P1003", `Database \`${name}\` does not exist at \`${host}\`.`)
    case "42P04":
      return new PrismaError("P1009", `Database \`${name}\` already exists at \`${host}\`.`)
    case "28P01":
    case "28000":
      return new PrismaError("P1000", `Authentication failed at \`${host}\`: ${error.message}`)
    default:
      return new PrismaError(
        "P1001",
        `Can't reach database server at \`${host}\`: ${error.message || error.code}`,
      )
  }
}

/**
 * The WASM engine reports a failed script without a code and with the error reduced by the adapter; this is what the
 * native one says. `engineError` names the migration in its trace, `databaseError` is PostgreSQL's own.
 */
export function failedMigration(engineError, databaseError) {
  const name = /migration_name="([^"]+)"/.exec(engineError.message)?.[1] ?? "unknown"
  const details = ["detail", "hint", "where"].flatMap((field) =>
    databaseError[field] ? [`${field.toUpperCase()}: ${databaseError[field]}`] : [],
  )
  return new PrismaError(
    "P3018",
    [
      "A migration failed to apply. New migrations cannot be applied before the error is recovered from. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve",
      `Migration name: ${name}`,
      `Database error code: ${databaseError.code}`,
      ["Database error:", `ERROR: ${databaseError.message}`, ...details].join("\n"),
    ].join("\n\n"),
  )
}

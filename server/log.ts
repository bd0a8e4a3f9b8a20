import { env } from "./env.ts"

const LEVELS = ["debug", "info", "warn", "error"] as const
export type LogLevel = (typeof LEVELS)[number]
export type LogFields = Record<string, unknown>

/** Structured log: `event` is a dotted past-tense name, the fields its facts (snake_case ids such as session_id). */
export type Log = Record<LogLevel, (event: string, fields?: LogFields) => void> & {
  with(fields: LogFields): Log
}

/** A log that writes one JSON line per event to `write`. */
export function createLog(
  minimum: LogLevel,
  write: (line: string) => void,
  bound: LogFields = {},
): Log {
  const at =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(minimum)) return
      const line = { at: new Date().toISOString(), level, event, ...bound, ...fields }
      write(`${JSON.stringify(line, plainErrors)}\n`)
    }
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => createLog(minimum, write, { ...bound, ...fields }),
  }
}

function plainErrors(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString()
  if (!(value instanceof Error)) return value
  return { name: value.name, message: value.message, stack: value.stack, cause: value.cause }
}

let shared: Log | undefined

/** The process's log, on standard error so that standard output stays for answers. */
export function log(): Log {
  shared ??= createLog(env().LOG_LEVEL, (line) => process.stderr.write(line))
  return shared
}

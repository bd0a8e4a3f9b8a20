import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs"
import { dirname } from "node:path"
import * as z from "zod"
import { failureSchema } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import { attemptRefSchema, claimSchema, terminalStateSchema } from "#protocol/work"
import type { Log } from "./log.ts"
import type { Journal, JournalRecord } from "./prompt/ports.ts"

const recordSchema: z.ZodType<JournalRecord> = z.object({
  agentSessionId: z.string().nullable(),
  attempts: z.array(
    z.object({
      ...attemptRefSchema.shape,
      generation: z.int().positive(),
      turnId: promptIdSchema,
      messageId: z.string(),
      state: z.union([z.enum(["journalled", "running", "returned"]), terminalStateSchema]),
      error: failureSchema.nullable(),
      claim: claimSchema.nullable(),
      stopRequested: z.boolean(),
    }),
  ),
})

const nodeFiles = { openSync, writeSync, fsyncSync, closeSync, renameSync }
export type JournalFiles = typeof nodeFiles

/**
 * The journal as one small file. A new record is written beside it and synced, then takes its place; after a crash at
 * any moment the file holds the old or the new record, whole.
 */
export function openJournal(path: string, log: Log, files: JournalFiles = nodeFiles): Journal {
  mkdirSync(dirname(path), { recursive: true })
  return {
    read: () => readRecord(path, log),
    write(record) {
      const next = `${path}.next`
      synced(files, next, "w", (file) => writeAll(files, file, JSON.stringify(record)))
      files.renameSync(next, path)
      // The new name itself is on disk only once its directory is.
      synced(files, dirname(path), "r", () => undefined)
    },
  }
}

function readRecord(path: string, log: Log): JournalRecord | null {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null
    throw error
  }
  const record = recordSchema.safeParse(parseJson(text))
  if (record.success) return record.data
  // Without a journal nothing is sent again by itself, so an unreadable one is as good as none.
  log("the journal is unreadable and is set aside", { path, error: z.prettifyError(record.error) })
  renameSync(path, `${path}.unreadable`)
  return null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function synced(files: JournalFiles, path: string, flags: string, use: (file: number) => void) {
  const file = files.openSync(path, flags)
  try {
    use(file)
    files.fsyncSync(file)
  } finally {
    files.closeSync(file)
  }
}

function writeAll(files: JournalFiles, file: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    written += files.writeSync(file, bytes, written)
  }
}

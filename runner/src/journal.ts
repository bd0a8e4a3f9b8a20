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
  // A journal from before this was kept says nothing of it.
  toldChanges: z.boolean().default(true),
})

/** One of the journal's two files: the record with the higher number counts. */
const slotSchema = z.object({ number: z.int().positive(), record: recordSchema })
type Slot = z.infer<typeof slotSchema>

const nodeFiles = { openSync, writeSync, fsyncSync, closeSync }
export type JournalFiles = typeof nodeFiles

/**
 * The journal as two small files that are written in turn, so that one sync stores a record. After a crash at any moment
 * the newer whole one is the old or the new record.
 */
export function openJournal(path: string, log: Log, files: JournalFiles = nodeFiles): Journal {
  const paths = [`${path}.0`, `${path}.1`] as const
  mkdirSync(dirname(path), { recursive: true })
  for (const slot of paths) synced(files, slot, "a", () => undefined)
  // The names themselves are on disk only once their directory is.
  synced(files, dirname(path), "r", () => undefined)
  let newest = newestOf(paths, log)

  return {
    read: () => newest?.record ?? null,
    write(record) {
      const next = { number: (newest?.number ?? 0) + 1, record }
      const slot = paths[next.number % 2 === 0 ? 0 : 1]
      synced(files, slot, "w", (file) => writeAll(files, file, JSON.stringify(next)))
      newest = next
    },
  }
}

/** A file that is torn by a crash is passed over. */
function newestOf(paths: readonly string[], log: Log): Slot | null {
  const texts = paths.map((path) => readFileSync(path, "utf8"))
  const slots = texts.flatMap((text) => slotSchema.safeParse(parseJson(text)).data ?? [])
  const newest = slots.sort((a, b) => b.number - a.number)[0]
  if (newest) return newest
  if (texts.every((text) => text === "")) return null
  // Without a journal nothing is sent again by itself, so an unreadable one is as good as none.
  log("the journal is unreadable and is set aside", { paths })
  for (const path of paths) renameSync(path, `${path}.unreadable`)
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

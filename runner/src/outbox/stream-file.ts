import { randomUUID } from "node:crypto"
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import * as z from "zod"
import { syncDirectory } from "./segments.ts"

const streamSchema = z.object({ generation: z.int().positive(), streamId: z.uuid() })

/** Which items the outbox holds: those of one stream of one generation, numbered from 1. */
export type Stream = z.infer<typeof streamSchema>

const FILE = "stream.json"

/** The stream that an earlier process of this generation left, or a new one: an outbox restored from a snapshot is not ours to send (E1). */
export async function continueStream(directory: string, generation: number): Promise<Stream> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const stream = await readStream(directory)
  if (stream?.generation === generation) {
    await removeOthers(directory, stream)
    return stream
  }
  const fresh = await createStream(directory, generation)
  await chooseStream(directory, fresh)
  return fresh
}

/** A stream that is not the outbox's own until {@link chooseStream}. */
export async function createStream(directory: string, generation: number): Promise<Stream> {
  const stream = { generation, streamId: randomUUID() }
  await mkdir(streamDirectory(directory, stream), { mode: 0o700 })
  return stream
}

/** After a crash either the earlier stream or this one is the outbox's, never a mixture. */
export async function chooseStream(directory: string, stream: Stream): Promise<void> {
  const draft = join(directory, `${FILE}.new`)
  const handle = await open(draft, "w", 0o600)
  try {
    await handle.writeFile(JSON.stringify(stream))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, join(directory, FILE))
  await syncDirectory(directory)
  await removeOthers(directory, stream)
}

export function streamDirectory(directory: string, stream: Stream): string {
  return join(directory, stream.streamId)
}

async function readStream(directory: string): Promise<Stream | null> {
  if (!(await readdir(directory)).includes(FILE)) return null
  const text = await readFile(join(directory, FILE), "utf8")
  return streamSchema.safeParse(parseJson(text)).data ?? null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function removeOthers(directory: string, stream: Stream): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true })
  const others = entries.filter((entry) => entry.isDirectory() && entry.name !== stream.streamId)
  for (const { name } of others) await rm(join(directory, name), { recursive: true, force: true })
}

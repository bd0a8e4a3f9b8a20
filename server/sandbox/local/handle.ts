import { randomUUID } from "node:crypto"
import { link, readFile, rename, rm, writeFile } from "node:fs/promises"
import * as z from "zod"
import { isSystemError } from "../system-error.ts"

const identity = z.object({ pid: z.int().positive(), startedAt: z.string() })

/**
 * What is known of a session's newest sandbox, on disk so that a provider that was killed is continued by the next. It
 * is written before the first process starts, and removed after the last one ended or once that has been told.
 */
const handleSchema = z.object({
  id: z.string(),
  /** Tells this create from another one of the same id. */
  nonce: z.string(),
  /** `stopped` is what is left of a sandbox that ran until the platform was stopped. */
  state: z.enum(["creating", "running", "ending", "stopped"]),
  creator: identity,
  leader: identity.nullable(),
  realtimeTag: z.int().nullable(),
  createdAtMs: z.number(),
})
export type Handle = z.infer<typeof handleSchema>

/** Null when there is none, or one that a crash of the whole machine left unreadable: nothing of it can run then. */
export async function readHandle(path: string): Promise<Handle | null> {
  const text = await readText(path)
  return text === null ? null : parse(text)
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8")
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return null
    throw error
  }
}

function parse(text: string): Handle | null {
  try {
    return handleSchema.safeParse(JSON.parse(text)).data ?? null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** False when a handle is there already. */
export async function claimHandle(path: string, handle: Handle): Promise<boolean> {
  return onceWritten(path, handle, async (draft) => {
    try {
      await link(draft, path)
      return true
    } catch (error) {
      if (!isSystemError(error, "EEXIST")) throw error
      const text = await readText(path)
      if (text !== null && parse(text) === null) await rm(path, { force: true })
      return false
    }
  })
}

/** False when the handle on disk is not, or no longer, that of this create in the expected state. */
export async function changeHandle(
  path: string,
  expected: Pick<Handle, "nonce" | "state">,
  change: Partial<Handle>,
): Promise<boolean> {
  const current = await readHandle(path)
  if (current?.nonce !== expected.nonce || current.state !== expected.state) return false
  await onceWritten(path, { ...current, ...change }, (draft) => rename(draft, path))
  return true
}

export async function removeHandle(path: string, nonce: string): Promise<void> {
  if ((await readHandle(path))?.nonce === nonce) await rm(path, { force: true })
}

/** Runs `publish` on a complete file, so that nobody ever reads half of one. */
async function onceWritten<Result>(
  path: string,
  handle: Handle,
  publish: (draft: string) => Promise<Result>,
): Promise<Result> {
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, JSON.stringify(handle), { mode: 0o600 })
    return await publish(draft)
  } finally {
    await rm(draft, { force: true })
  }
}

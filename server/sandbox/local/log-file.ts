import { open, stat, truncate } from "node:fs/promises"
import { isSystemError } from "../system-error.ts"

const MAX_LOG_BYTES = 8 * 1024 * 1024
const TAIL_BYTES = 2_000

/** Begins a log again that grew too long. Its writers append, so they go on at its new end. */
export async function boundLog(path: string): Promise<void> {
  try {
    if ((await stat(path)).size > MAX_LOG_BYTES) await truncate(path, 0)
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error
  }
}

/** The newest lines, for an error's message. */
export async function readTail(path: string): Promise<string> {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    const length = Math.min(size, TAIL_BYTES)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString("utf8").trim()
  } finally {
    await file.close()
  }
}

import { constants } from "node:fs"
import { type FileHandle, open, realpath } from "node:fs/promises"
import { isAbsolute, join, relative, sep } from "node:path"
import { MAX_MESSAGE_CHARS } from "#protocol/limits"
import { Failed } from "../failed.ts"

const MAX_FILE_BYTES = 1024 * 1024

/** What an answer may take as JSON, with room for the message around it. */
const MAX_TEXT_CHARS = MAX_MESSAGE_CHARS - 16 * 1024

/** Git too looks this far for a NUL to tell binary files. */
const BINARY_PROBE_BYTES = 8_000

export type FileContent = {
  path: string
  /** Size of the whole file. */
  bytes: number
  binary: boolean
  /** `text` is only the beginning. */
  truncated: boolean
  /** Empty for a binary file. */
  text: string
}

/** A file of the checkout by its path relative to it. Throws Failed for whatever lies outside or is no plain file. */
export async function readWorkspaceFile(directory: string, path: string): Promise<FileContent> {
  const root = await realpath(directory)
  const target = await realpath(join(root, path)).catch(() => null)
  const inside = target === null ? null : relative(root, target)
  if (target === null || inside === null || isOutside(inside) || isGitInternal(inside)) {
    throw new Failed(
      "file-not-found",
      `There is no file “${path}” in the workspace. Check its path, or whether the agent has removed it.`,
    )
  }
  // Opening a pipe would otherwise wait for its other end.
  const handle = await open(
    target,
    constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW,
  )
  try {
    return { path, ...(await contentOf(handle, path)) }
  } finally {
    await handle.close()
  }
}

function isOutside(inside: string): boolean {
  return inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside)
}

function isGitInternal(inside: string): boolean {
  return inside.split(sep).includes(".git")
}

async function contentOf(handle: FileHandle, path: string): Promise<Omit<FileContent, "path">> {
  const stat = await handle.stat()
  if (!stat.isFile()) {
    throw new Failed("not-a-file", `“${path}” is not a file. Open a file inside it instead.`)
  }
  const buffer = Buffer.alloc(Math.min(stat.size, MAX_FILE_BYTES))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
  const data = buffer.subarray(0, bytesRead)
  const bytes = stat.size
  if (data.subarray(0, BINARY_PROBE_BYTES).includes(0)) {
    return { bytes, binary: true, truncated: false, text: "" }
  }
  // While streaming, the decoder keeps back a character that the size limit cut in two.
  const whole = new TextDecoder().decode(data, { stream: bytes > bytesRead })
  const text = fitting(whole)
  return { bytes, binary: false, truncated: bytes > bytesRead || text.length < whole.length, text }
}

function fitting(text: string): string {
  let fits = text
  while (JSON.stringify(fits).length > MAX_TEXT_CHARS) {
    fits = fits.slice(0, Math.floor(fits.length * 0.75)).toWellFormed()
  }
  return fits
}
